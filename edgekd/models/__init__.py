"""Networks: a spec such as `resnet20` becomes a module that takes images as they are stored and answers logits.

`load.build` makes it, `weights` reads what was trained, `check` doubts what was brought, `pick` proposes a student. Nothing here trains.
"""
