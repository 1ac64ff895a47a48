package correlate

// selfPairs counts, in the bins of a histogram, the pairs that the tags of one
// record make with themselves: they say nothing of the light.
type selfPairs struct {
	from   Stream
	o      HistogramOptions
	fixed  []uint64
	counts []uint64
	all    uint64
}

func (s *selfPairs) Next(buf []uint64) (int, error) {
	n, err := s.from.Next(buf)
	if s.o.Correction.IsZero() {
		s.add(0, uint64(n))
		return n, err
	}
	s.fixed = s.o.Correction.ApplyAll(s.fixed[:0], buf[:n])
	for i, t := range s.fixed {
		s.add(int64(t-buf[i]), 1)
	}
	return n, err
}

func (s *selfPairs) add(difference int64, n uint64) {
	if difference >= -s.o.Range && difference < s.o.Range {
		s.counts[(difference+s.o.Range)/s.o.Bin] += n
		s.all += n
	}
}

func (s *selfPairs) leaveOut(h *Histogram) {
	for k, n := range s.counts {
		h.Counts[k] -= n
	}
	h.Pairs -= s.all
	h.SelfPairs = s.all
}
