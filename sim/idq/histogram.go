package idq

import (
	"strconv"
	"strings"
	"sync"
)

const maxBins = 16384

// histogram is a HISTogram block during a recording: how often STOP came how
// long after REF.
type histogram struct {
	*lane // belongs to the recording's goroutine
	links wiring
	min   uint64 // ps
	width uint64 // ps of a bin

	mu   sync.Mutex
	bins []uint64
}

// newHistogram returns block n as it is set now, with what it has counted so
// far if its bins are the same, because only FLUSh empties them, or nil when its STOP is not
// linked. Without a reference, and before the first event of it in a record,
// times count from the begin of the record.
func (d *device) newHistogram(n int) *histogram {
	w := d.wiring("HISTogram", n)
	if w.stop == nil {
		return nil
	}
	at := "HISTogram" + strconv.Itoa(n)
	h := &histogram{
		links: w,
		min:   uint64(d.get(at + ":MINimum").n),
		width: uint64(d.get(at + ":BWIDth").n),
		bins:  make([]uint64, d.get(at+":BCOUnt").n),
	}
	if before := d.plots[n]; before != nil && before.min == h.min && before.width == h.width && len(before.bins) == len(h.bins) {
		before.mu.Lock()
		defer before.mu.Unlock()
		copy(h.bins, before.bins)
	}
	return h
}

// look counts what the record that began at begin holds before limit.
func (h *histogram) look(begin, limit int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.collect(begin, limit, func(value, _ uint64) {
		if value < h.min {
			return
		}
		if bin := (value - h.min) / h.width; bin < uint64(len(h.bins)) {
			h.bins[bin]++
		}
	})
}

// histogramWidth rounds the bin up to a multiple of the resolution.
func (d *device) histogramWidth(n int, v value) error {
	r := d.resolution()
	d.values["HISTogram"+strconv.Itoa(n)+":BWIDth"] = value{n: (v.n + r - 1) / r * r}
	return nil
}

func (d *device) histogramData(n int) (string, error) {
	h := d.plots[n]
	if h == nil {
		h = &histogram{bins: make([]uint64, d.get("HISTogram"+strconv.Itoa(n)+":BCOUnt").n)}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	text := make([]string, len(h.bins))
	for i, c := range h.bins {
		text[i] = strconv.FormatUint(c, 10)
	}
	return "[" + strings.Join(text, ", ") + "]", nil
}

func (d *device) histogramFlush(n int, _ value) error {
	if h := d.plots[n]; h != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		clear(h.bins)
	}
	return nil
}
