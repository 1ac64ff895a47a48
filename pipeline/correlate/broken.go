package correlate

import "io"

// broken reads one after another the stretches of a record that is interrupted: each
// seems to end where the next begins.
type broken struct {
	from   Stream
	breaks []uint64 // as recorded, in order: where the stretches after the present one begin
	kept   []uint64 // read, and not handed out
	room   []uint64
	err    error // after what is kept
}

func (s *broken) Next(buf []uint64) (int, error) {
	if len(s.kept) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		if s.room == nil {
			s.room = make([]uint64, chunk)
		}
		var n int
		n, s.err = s.from.Next(s.room)
		s.kept = s.room[:n]
	}
	n := min(len(s.kept), len(buf))
	if len(s.breaks) > 0 {
		n = min(n, search(len(s.kept), func(i int) bool { return s.kept[i] >= s.breaks[0] }))
		if n == 0 && len(s.kept) > 0 {
			return 0, io.EOF
		}
	}
	copy(buf, s.kept[:n])
	s.kept = s.kept[n:]
	return n, nil
}

// goOn goes on with the next stretch; false where there is none.
func (s *broken) goOn() bool {
	if len(s.breaks) == 0 {
		return false
	}
	s.breaks = s.breaks[1:]
	return true
}

// firstBreak is where the first stretch of the channels ends, in ps since base, on the
// common clock.
func (g *gather) firstBreak(to int64) int64 {
	for _, l := range g.lanes {
		for _, b := range l.breaks {
			if at := g.since(l.correct.Apply(b)); at > g.from {
				to = min(to, at-1)
				break
			}
		}
	}
	return to
}
