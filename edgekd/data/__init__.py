"""Where images come from: a spec such as `folder:photos` becomes train, valid and test; training images become replayable views.

`source.load` reads, `views.view` augments, `batches.Batches` hands out batches. Nothing here knows a network.
"""
