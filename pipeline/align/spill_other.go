//go:build !linux

package align

import "errors"

// spill is nothing here: all tags are in memory.
type spill struct{ tags []uint64 }

func newSpill(int) (*spill, error) { return nil, errors.ErrUnsupported }

func (s *spill) put(int, []uint64) error { return errors.ErrUnsupported }

func (s *spill) close() {}
