"""From a pipeline and a plate index to frozen contexts, in five phases."""
