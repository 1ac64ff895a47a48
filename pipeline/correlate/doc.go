// Package correlate finds how two streams of photon detections belong
// together: how far apart the clocks were that stamped them, which detections
// are pairs, and how the differences of their times are distributed.
//
// Every function is pure: tags in, result out, no files and no clock. A is the
// reference, B the target, and every difference is B minus A.
//
//	Align(a, b)              ── where is B's clock? ──▶ Alignment
//	      │ coarse           FFT correlation over the whole search range
//	      │ hough            the same pairs on a line of offset and frequency
//	      │ extend, fit      the line over the whole record, maximum likelihood
//	      │ confirm          is it there everywhere, and is it straight?
//	      ▼
//	Alignment.Correction()   ── subtracted from B by ──▶ Count, Coincide
//
// [Count] makes a [Histogram] and [Coincide] finds [Coincidences] in slices;
// [CountStreams] and [CoincideStreams] take streams of any length and hold only
// the part of them that their window needs. Both are exact: every start is compared with
// every stop in integers.
//
// Tags are unsigned picoseconds and stay integers. Estimated offsets are
// floats, because an estimate from many pairs is finer than a picosecond.
//
// Input from outside is checked: tags that run backwards ([OrderError]), that
// lie too far apart ([SpanError]) and windows that would take for ever
// ([LimitError]) are errors, and an alignment without evidence is a [Refusal].
package correlate
