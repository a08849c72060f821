"""What WeChat Pay's pages say, row by row, and a check of each that the simulator does it."""
