package main

import (
	"context"
	"fmt"
	"time"

	"tsrun/sdk"
)

const (
	liveStep = time.Millisecond // of the device's time, in one piece
	perMs    = 1_000_000_000    // ps
)

// acquireLive is a device of the present: its tags come at their time, it holds those of
// the last h.Live, and loses what is not taken by then.
func (h *hurry) acquireLive(ctx context.Context, end uint64, out *sdk.Stream) error {
	begun, tags := time.Now(), make([]uint64, 0, perMs/uint64(h.Every)+1)
	for at := uint64(0); at < end && ctx.Err() == nil; at += perMs {
		until := min(at+perMs, end)
		due := begun.Add(time.Duration(until / 1000)) // ps to ns
		if early := time.Until(due); early > 0 {
			time.Sleep(early)
		}
		tags = tags[:0]
		for t := at; t < until; t += uint64(h.Every) {
			tags = append(tags, t)
		}
		lost := time.Since(due) > time.Duration(h.Live)/1000
		for _, c := range h.run.Channels {
			if lost {
				out.Lost(c.Stream, uint64(len(tags)), fmt.Sprintf("nobody took them for %v", time.Duration(h.Live)/1000))
			} else if err := out.Send(c.Stream, tags); err != nil {
				return err
			}
			if err := out.Mark(c.Stream, until); err != nil {
				return err
			}
		}
	}
	return nil
}
