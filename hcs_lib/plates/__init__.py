"""What microscopes wrote: formats, the plate index, platemaps, synthetic plates."""
