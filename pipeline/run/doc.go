// Package run is what remains of a run: its directory, its manifest, its
// condition, and the events that tell how it is going.
//
// In the order a run meets them:
//
//	[Create]            the directory: recipe, log, raw/NODE/, results/
//	[Feed]              takes every [Event] of the run without ever holding it up
//	[Manifest]          what was asked, what answered and what was kept; written
//	                    at each important moment, so that a killed master leaves
//	                    one that says so
//	[EstimateStart]     when a node's controllers started, and [Skew] how far apart
//	[Analyse]           the recipe's stages over the raw files
//	[Judge]             the run's [Condition], each word with its reason
//	[Directory.Seal]    the last manifest and SHA256SUMS
//	[Report]            the summary, from the manifest alone
//	[Verify]            proves all of it again, any time later
//
// Times of tags are integers of picoseconds, times of PCs integers of
// nanoseconds since 1970 (UTC).
package run
