"""The laboratory: what a course on deep learning claims, measured: `mien-train lab NAME`.

An experiment is a module of `experiments/` that holds `EXPERIMENT`, an `experiment.Experiment`:
what is claimed, how it is decided, how much is done, and a function from a `Trial` to a `Result`.
`experiments/sharing.py` is the shortest to read; `experiments/center_toy.py` learns something.

To add one:

1. Name it and its title in the tuple of `experiments/__init__.py`; `batch-size` is the module
   `batch_size`. What is listed is imported only when it runs.
2. Write the module: `EXPERIMENT = Experiment(claim=…, rule=…, data=…, quick=Scale(seeds, epochs),
   full=Scale(…), run=_run)`. `claim` and `rule` are whole sentences in our own words. The default
   takes at most ten minutes on two cores, better one or two.
3. Take data from the trial: `trial.digits(side)` or `trial.faces(side)`, each `Split(train, test)`
   of `mien_training.data.Crops`. Faces are split by people, digits by pictures.
4. Learn by `learning.learn(recipe, crops, …)`: the product's own networks, losses, optimisers and
   `Learner`, on P×K batches, or on plain shuffled ones or the whole set with `Shuffled`. Start from
   `recipes.digits` or `recipes.faces` and change what the experiment is about. Look into it by
   `look`, called after each step; `layers.spreads` gives activations and gradients by layer.
   `fits.on_digits` and `fits.on_faces` learn a setting with each seed and measure it as in 5.
5. Measure: `classes.wrong` (which pictures are taken for another class), `verification.Verified`
   (similarities of all pairs of unseen people), and put rows (setting × seed → figures) into
   `record.Table.of`. Everything that is drawn goes into a table or a `record.Curve`.
6. Compare by `comparison.of_units` (test pictures, or seeds) and `comparison.of_eers` (people):
   paired bootstrap, 95 % interval and p-value. Then decide in a function of its own, numbers in and
   a `record.Finding` out, which a test feeds with made-up numbers of either outcome; `verdict` has
   the rule of an interval that keeps to one side of 0. Numbers in the sentence come from the tables
   (`Table.means`) or the comparisons, so that each is in result.json.
7. Draw with `figure.grid`, colours from `figure.COLOURS`: axes named, with units. Look at it.
8. Test it with `Scale(1, 1)` as the others in tests/training/lab, run it, look at runs/lab/NAME,
   and `python -m mien_training.lab.document --take runs/lab/NAME`, which copies result and figure
   to docs/lab and writes docs/lab.md.
"""
