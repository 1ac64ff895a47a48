// Package correlate compares streams of photon detections whose clocks are
// known to each other: how the differences of their times are distributed, and
// which detections belong together.
//
// Every function is pure: tags in, result out, no files and no clock. A is the
// reference, B the target, and every difference is B minus A.
//
//	Line, Correction   what carries B's times to A's clock; package align finds it
//	      │ Inverse      from A's clock to B's
//	      │ Chain        over a clock between the two
//	      ▼
//	CountStreams          the differences of two streams in bins: a Histogram
//	CountChannels         the same of channels with corrections and delays
//	CountG2               the same beside what uncorrelated light would show
//	ScanDelays            where the histogram has its peaks
//	Coincide              which tags of two to eight channels come together
//	CountRates            how many tags a second, over time
//
// Each is exact: every start is compared with every stop, in integers. Streams
// may be of any length; only the part that a window needs is held.
//
// All but rates walk their streams side by side (gather.go): lane.go reads, checks and
// corrects them, or takes tags that are in memory as they stand, and a span of time
// shows what all channels have of it and in reach. Of two channels, crew.go has each
// core count pieces of spans, a histogram's by kernel.go, and by wide.go where bins hold
// many pairs of each tag. No core waits for another, and the result does not depend on
// how many there are.
//
// Coincidences and scans move the channels to count chance: periods.go and lags.go
// find how the light repeats, exposure.go by how much to move and how long all
// recorded so, and uneven.go whether chance is the same there. counter.go counts the
// tuples of some channels, pairs.go those of two, among the tags that sieve.go leaves,
// list.go gives each of them, and fold.go is what that says.
//
// Tags are unsigned picoseconds and stay integers, differences are taken modulo
// 2^64 and are true within 26 days.
//
// Input from outside is checked: tags that run backwards ([OrderError]), that
// lie too far apart ([SpanError]) and windows that would take for ever
// ([LimitError]) are errors.
package correlate
