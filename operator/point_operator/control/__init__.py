"""From what is seen to what is done and said: one look at one PointService. Imports every room but `process`."""
