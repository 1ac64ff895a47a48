package main

import (
	"encoding/binary"
	"testing"

	"tsrun/sdk/fifteen"
)

// TestEventsNotRead: a hole in the time of a TDC2 behind what readevents7 had to wait with is
// a loss; one without that is a dark moment.
func TestEventsNotRead(t *testing.T) {
	const step = 1 << 28 // ticks, more than events are put in order within
	for name, c := range map[string]struct {
		full, hole int // behind how many events
		want       uint64
	}{"behind a full pipe": {200, 250, 1}, "of a pipe that was read": {1000, 250, 0}, "before it": {200, 150, 0}, "none": {200, 1000, 0}, "among few": {50, 100, 0}} {
		t.Run(name, func(t *testing.T) {
			lost := uint64(0)
			e := &events{emit: func(uint64, int) {}, lost: func(n uint64, _ string) { lost += n }}
			ticks := uint64(0)
			for k := range 400 {
				if ticks += step; k == c.hole {
					ticks += 300 * step
				}
				if k == c.full {
					e.gaps.suspect(eventKeeps)
				}
				e.take(binary.LittleEndian.AppendUint64(nil, uint64(fifteen.NewEvent(ticks, 1))))
			}
			if cut := e.finish(); cut || lost != c.want || e.counted.Holes != c.want {
				t.Errorf("cut %v, %d lost, %d holes, want %d", cut, lost, e.counted.Holes, c.want)
			}
		})
	}
}
