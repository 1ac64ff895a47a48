// Package run is what remains of a run: its directory, its manifest and its
// condition.
//
// In the order a run meets them:
//
//	[Create]            the directory: recipe, log, raw/NODE/, results/
//	[Manifest]          what was asked, what answered and what was kept; written
//	                    at each important moment, so that a killed master leaves
//	                    one that says so
//	[EstimateStart]     when a node's controllers started, and [Skew] how far apart
//	[Judge]             the run's [Condition], each word with its reason
//	[Directory.Seal]    the last manifest and SHA256SUMS
//	[Verify]            proves all of it again, any time later
//	[List]              the runs of a directory
//
// Times of tags are integers of picoseconds, times of PCs integers of
// nanoseconds since 1970 (UTC).
package run
