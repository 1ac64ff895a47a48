package correlate

import "tsrun/sdk/tag"

// Count is [CountStreams] of tags in memory.
func Count(a, b []uint64, o HistogramOptions) (Histogram, error) {
	return CountStreams(tag.NewReader(a), tag.NewReader(b), o)
}
