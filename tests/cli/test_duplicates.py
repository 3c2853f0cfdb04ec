"""`mien gallery duplicates`: who is in a gallery twice."""

from pathlib import Path

import pytest

from mien.model.bundle import Bundle
from tests import bundles
from tests.cli.keeping import Place, refused, run, told


class TestDuplicates:
    def test_as_json_have_these_fields(self, place: Place) -> None:
        fields = told(run("duplicates", "staff", "--threshold", "0.8", "--json", *place.options))
        assert {"pairs", "misfits", "applied", "gallery_revision", "truncated", "subjects",
                "samples"} <= set(fields)  # fmt: skip
        assert (fields["subjects"], fields["samples"], fields["gallery_revision"]) == (7, 18, 2)
        pairs = [(each["subject_a"], each["subject_b"]) for each in fields["pairs"]]
        assert ("p4", "p5") in pairs
        scores = [each["score"]["similarity"] for each in fields["pairs"]]
        assert scores == sorted(scores, reverse=True)
        (misfit,) = fields["misfits"]
        assert (misfit["subject_id"], misfit["nearest_subject_id"]) == ("p0", "p1")
        assert ("expected_false_pairs" in fields) == (place.server is not None)

    def test_at_a_rate_say_how_many_are_expected_to_be_false(
        self, place: Place, bundle: Bundle
    ) -> None:
        calibrated = () if place.server else ("--bundle", str(bundle.folder))
        asked = ("duplicates", "staff", "--fmr", "0.05", *calibrated, *place.options)
        fields = told(run(*asked, "--json"))
        assert fields["expected_false_pairs"] <= 21 * 0.05
        assert fields["applied"]["identities"] == 40
        printed = run(*asked).stdout
        assert "p4 = p5" in printed
        assert "of 21 pairs of subjects about" in printed
        assert "measured on 40 people" in printed

    def test_are_told_in_words_the_most_alike_first(self, place: Place) -> None:
        lines = run("duplicates", "staff", "--threshold", "0.8", *place.options).stdout.splitlines()
        similarities = [float(line.split()[0]) for line in lines if " = " in line]
        assert similarities == sorted(similarities, reverse=True)
        assert any(line.endswith("is not like p0, but p1") for line in lines)
        assert (
            f"{len(similarities)} pairs of 7 subjects, 1 of 18 samples"
            in lines[len(similarities) + 1]
        )

    def test_more_than_the_limit_is_said(self, place: Place) -> None:
        printed = run("duplicates", "staff", "--threshold", "-1", "--limit", "2", *place.options)
        assert "there are more; ask for more with --limit" in printed.stdout

    def test_a_rate_that_cannot_be_supported_is_refused(self, place: Place, bundle: Bundle) -> None:
        calibrated = () if place.server else ("--bundle", str(bundle.folder))
        sentence = refused(run("duplicates", "staff", "--fmr", "1e-6", *calibrated, *place.options))
        assert "the calibration of 40 people supports" in sentence

    def test_the_calibration_of_another_model_is_refused(
        self, place: Place, bundle: Bundle
    ) -> None:
        calibrated = () if place.server else ("--bundle", str(bundle.folder))
        sentence = refused(run("duplicates", "other", "--fmr", "0.1", *calibrated, *place.options))
        assert "bound to model 'sha256:other'" in sentence

    def test_without_a_calibration_there_is_no_rate(self, data: Path, tmp_path: Path) -> None:
        folder = bundles.uncalibrated(tmp_path / "bundle").folder
        sentence = refused(
            run("duplicates", "staff", "--fmr", "0.1", "--bundle", folder, "--data", data)
        )
        assert "not calibrated" in sentence

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--server", "127.0.0.1:1"), "either --fmr or --threshold"),
            (("--fmr", "0.1", "--threshold", "0.5"), "either --fmr or --threshold"),
            (("--fmr", "0.1", "--bundle", "."), "--bundle is for --data"),
            (("--fmr", "1.5"), "not in the range 0<x<1"),
            (("--fmr", "0.1", "--limit", "0"), "not in the range"),
        ],
    )
    def test_options_that_do_not_go_together_are_refused(
        self, options: tuple[str, ...], message: str
    ) -> None:
        assert message in refused(run("duplicates", "staff", *options))
