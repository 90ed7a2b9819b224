"""What an answer means: the labels, the losses that fit, the metrics and the output's name, one module a task."""
