"""What a recipe may say: every key with its meaning, its source and its default.

The package imports neither torch nor albumentations, so a wrong recipe is refused at once.
"""
