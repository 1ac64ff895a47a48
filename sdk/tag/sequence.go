package tag

import "fmt"

// Sequence checks that the blocks of one stream are numbered from 0 without
// gaps, that their tags never go back in time or before what a block promised,
// and that nothing follows the End.
//
// Set Stream before the first Accept. A zero Run is replaced by the run of the
// first block.
type Sequence struct {
	Run    RunID
	Stream uint16

	next  uint64 // number of the next block
	floor uint64 // ps: no later tag is before this
	ended bool
}

// Accept takes the next header of the stream. After an error the sequence
// stays where it was.
func (s *Sequence) Accept(h Header) error {
	if h.Stream != s.Stream {
		return h.errorf("it came on stream %d", s.Stream)
	}
	if s.Run != (RunID{}) && h.Run != s.Run {
		return h.errorf("it belongs to run %s, this is run %s", h.Run, s.Run)
	}
	if s.ended {
		return h.errorf("the stream has already ended")
	}
	if h.Seq != s.next {
		return h.errorf("block %d is due; %s", s.next, missing(h.Seq, s.next))
	}
	if h.Count > 0 && h.First < s.floor {
		return h.errorf("first tag at %d ps, but the blocks before it reach %d ps", h.First, s.floor)
	}
	s.Run = h.Run
	s.next++
	s.floor = max(s.floor, h.Last, h.Until)
	s.ended = h.Kind == End
	return nil
}

func missing(got, due uint64) string {
	if got < due {
		return "this one came twice"
	}
	return fmt.Sprintf("%d blocks are missing", got-due)
}

// Ended tells whether the stream's End was accepted.
func (s *Sequence) Ended() bool { return s.ended }

// Accepted returns the number of blocks accepted.
func (s *Sequence) Accepted() uint64 { return s.next }

// Until returns the time in ps that no later tag of the stream can be before.
func (s *Sequence) Until() uint64 { return s.floor }
