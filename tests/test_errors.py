from mien import errors
from mien.server.calls.statuses import CODES, code_of
from mien.v1 import reason_pb2

LOCAL = {
    "DATASET_INVALID",
    "SETTINGS_INVALID",
    "RECIPE_INVALID",
    "BUNDLE_INVALID",
    "EXTRA_MISSING",
    "DETECTOR_MISSING",
    "DOWNLOAD_FAILED",
    "RUN_INVALID",
    "LEARNING_STOPPED",
    "ADDRESS_IN_USE",
    "KEYS_INVALID",
    "KEY_NOT_FOUND",
    "OUTPUT_EXISTS",
    "CALLER_GONE",
}
"""Reasons that never travel: raised by commands before a server serves."""

LEAVES = [kind for kind in errors.tree() if not kind.__subclasses__()]


def test_every_leaf_has_a_reason_of_its_own() -> None:
    reasons = [leaf.reason for leaf in LEAVES]
    assert len(set(reasons)) == len(reasons)


def test_the_wire_knows_exactly_the_reasons_that_travel() -> None:
    wire = {value.name.removeprefix("REASON_") for value in reason_pb2.Reason.DESCRIPTOR.values} - {
        "UNSPECIFIED"
    }
    assert wire == {leaf.reason for leaf in LEAVES} - LOCAL


def test_every_error_that_travels_has_one_status_code() -> None:
    for leaf in LEAVES:
        if leaf.reason not in LOCAL:
            assert sum(issubclass(leaf, branch) for branch in CODES) == 1
            assert code_of(leaf("x")) in CODES.values()


def test_a_reason_leads_back_to_its_class() -> None:
    for leaf in LEAVES:
        assert errors.of_reason(leaf.reason) is leaf
    assert errors.of_reason("FROM_THE_FUTURE") is errors.Internal


def test_the_drawing_of_the_tree_shows_every_class() -> None:
    for kind in errors.tree():
        assert kind.__name__ in (errors.__doc__ or "")
