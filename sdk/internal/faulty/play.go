package main

import (
	"context"
	"errors"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

const us = uint64(1_000_000) // ps

// play sends the tags of a shot.
func play(ctx context.Context, out *sdk.Stream, r *pluginpb.ArmRequest) error {
	end := uint64(r.DurationNs) * 1000
	began := time.Now()
	step, last := us, end
	if has("shots:unmarked") {
		last = end / 2
	}
	tags := make([]uint64, 0, 1000)
	for at := uint64(0); ctx.Err() == nil && (at < last || end == 0); {
		tags = tags[:0]
		for range cap(tags) {
			if at += step; at < last || end == 0 {
				tags = append(tags, at)
			}
		}
		if has("device-clock") { // it looks at the clock of the PC when it sends
			instrument.Pause(ctx, time.Millisecond)
			if at = uint64(time.Since(began)) * 1000; end > 0 {
				at = min(at, end)
			}
			tags = append(tags[:0], at)
		}
		if has("late-times") && at > 1<<40 {
			return errors.New("a time is beyond 40 bits")
		}
		for n, c := range r.Channels {
			if n > 0 && has("shots:mute") {
				continue
			}
			if err := out.Send(uint16(c.Stream), tags); err != nil {
				return err
			}
			if err := out.Mark(uint16(c.Stream), at); err != nil {
				return err
			}
		}
		if end == 0 { // past 2^54 ps within a few hundred turns, and on
			if at < 1<<54 {
				step += step / 16
			} else {
				step = us
			}
			instrument.Pause(ctx, time.Millisecond)
		}
	}
	for n, c := range r.Channels {
		if ctx.Err() == nil && !has("shots:unmarked") && (n == 0 || !has("shots:mute")) {
			_ = out.Mark(uint16(c.Stream), end) // what failed before comes first
		}
	}
	return nil
}

// wire is the way to the core, which changes what passes.
type wire struct {
	conn    *zmtp.Conn
	blocks  int
	reached map[uint16]uint64 // ps, of each stream
}

func (w *wire) Send(patience time.Duration, frames ...[]byte) error {
	if has("consumer-pauses") {
		patience = time.Second
	}
	w.blocks++
	h, err := tag.DecodeHeader(frames[0])
	if err != nil {
		return err
	}
	if tags := tag.AsTags(frames[1], nil); len(tags) > 2 && w.wrong(h, tags) {
		b := h.Block(frames[1], nil)
		b.EncodeHeader(frames[0]) // it agrees with the tags
	}
	switch {
	case has("shots:end") && h.Kind == tag.End, has("shots:gap") && w.blocks == 3:
		return nil
	case has("shots:twice") && w.blocks == 3:
		if err := w.conn.Send(patience, frames...); err != nil {
			return err
		}
	case has("shots:disorder") && h.Count > 2:
		tags := tag.AsTags(frames[1], nil)
		tags[0], tags[1] = tags[1], tags[0]
	case has("shots:checksum"):
		frames[0][20] ^= 1
	}
	return w.conn.Send(patience, frames...)
}

// wrong makes the tags of a block wrong, and reports whether it did.
func (w *wire) wrong(h tag.Header, tags []uint64) bool {
	first, last := &tags[0], &tags[len(tags)-1]
	switch before := w.reached[h.Stream]; {
	case has("shots:back") && before > 0:
		*first = before - 1
	case has("late-times:far-back") && before > 1<<40:
		*first = before - 1<<40
	case has("shots:negative"):
		*last = 1<<64 - 5
	default:
		w.reached[h.Stream] = max(h.Until, *last)
		return false
	}
	return true
}

func (w *wire) Close() error { return w.conn.Close() }
