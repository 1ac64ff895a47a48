package sky

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"tsrun/sdk/tagfile"
)

// Recording is a recorded file, ready to be played as the detections of a
// controller's inputs.
type Recording struct {
	inputs map[int][]int64 // ps after the first tag of any channel, in order
}

// OpenReplay reads the whole recording into memory.
func OpenReplay(r Replay) (*Recording, error) {
	if len(r.Channels) == 0 {
		return nil, fmt.Errorf("replay %s: no input is given a channel; write channels: {1: 1} for input 1 to play channel 1", r.File)
	}
	file, err := tagfile.ReadRecording(r.File, r.Format)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	rec := &Recording{inputs: make(map[int][]int64, len(r.Channels))}
	for input, channel := range r.Channels {
		tags, ok := file.Channels[channel]
		if !ok {
			return nil, fmt.Errorf("replay %s on input %d: it has no channel %d; it has %v",
				r.File, input, channel, slices.Sorted(maps.Keys(file.Channels)))
		}
		times := make([]int64, len(tags))
		for i, t := range tags {
			if t-file.First > math.MaxInt64/4 {
				return nil, fmt.Errorf("replay %s: tag %d of channel %d lies %d ps after the first, more than can be played", r.File, i, channel, t-file.First)
			}
			times[i] = int64(t - file.First)
		}
		rec.inputs[input] = times
	}
	return rec, nil
}

// Input returns the detections of one input from ps picoseconds after its
// start on. Playing begins at the start instant whatever that is; an input
// without a channel stays dark.
func (r *Recording) Input(number int, from int64) Source {
	times := r.inputs[number]
	first, _ := slices.BinarySearch(times, from)
	return &playback{times[first:]}
}

type playback struct{ rest []int64 }

func (p *playback) Until(limit int64, dst []int64) []int64 {
	n, _ := slices.BinarySearch(p.rest, limit)
	dst = append(dst, p.rest[:n]...)
	p.rest = p.rest[n:]
	return dst
}
