package tagfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// ConvertOptions says what of one file becomes another.
type ConvertOptions struct {
	From     string // format of the file that is read; "" when it tells itself
	To       string // format of the file that is written; "" when its name tells
	Channels []int  // of these; none: all
	First    uint64 // ps: no tags before this
	Last     uint64 // ps: no tags after this; 0: to the end
	Replace  bool   // an existing file may be replaced, once the new one is whole
	Salvage  bool   // what stands before damage is written; Report.Damage says what is wrong
	// Progress, when there is one, is told now and then how many bytes of the
	// file have been read.
	Progress func(done, of int64)
}

// Report says what [Convert] did.
type Report struct {
	Read    Info   `json:"read"`    // as far as it was read
	Written Info   `json:"written"` // what the new file holds
	Rounded uint64 `json:"rounded"` // tags whose time the new format can only tell to the nearest of its steps
	// Shift was taken off every time, because the counter of the new format
	// wraps; 0 for formats that hold whole times.
	Shift uint64 `json:"shift_ps"`
	// Damage is what ended the reading before the end of the file, with
	// ConvertOptions.Salvage; else that is an error.
	Damage string `json:"damage,omitempty"`
}

// Convert writes the tags of one file to another, in order of time, in bounded
// memory. The new file appears when it is whole; a failure leaves none. Tags
// out of order by at most 1 us are sorted, as with [Open]. What the new format
// cannot hold (a channel, a time, a second channel) is an error; a coarser
// resolution is reported. Facts beside tags are not carried over: they are in
// Report.Read.
//
// numpy's format becomes an array of times when there can only be one channel:
// one is named, or the file that is read holds no numbers. Else it becomes an
// array of records.
func Convert(ctx context.Context, in, out string, o ConvertOptions) (Report, error) {
	to, err := formatToWrite(out, o.To)
	if err != nil {
		return Report{}, err
	}
	o.Channels = slices.Compact(slices.Sorted(slices.Values(o.Channels)))
	o.Last = cmp.Or(o.Last, math.MaxUint64)
	if o.Last < o.First {
		return Report{}, fmt.Errorf("convert %s: nothing lies between %d ps and %d ps", in, o.First, o.Last)
	}
	f, from, err := openAs(in, o.From)
	if err != nil {
		return Report{}, err
	}
	f.limits, f.salvaging = span{o.First, o.Last}, o.Salvage
	r, err := f.convert(ctx, from, out, to, o)
	return r, errors.Join(err, f.Close())
}

// formatToWrite finds the format of a file that is not there yet.
func formatToWrite(path, name string) (Format, error) {
	if name != "" {
		if ft, known := find(name); known {
			return ft, nil
		}
		return Format{}, fmt.Errorf("write %s: %s", path, unknownFormat(name))
	}
	suffix := strings.ToLower(filepath.Ext(path))
	of := bySuffix(suffix)
	if len(of) == 1 {
		return of[0], nil
	}
	names := Formats()
	if len(of) > 1 {
		names = nil
		for _, ft := range of {
			names = append(names, ft.Name)
		}
	}
	return Format{}, fmt.Errorf("write %s: %s; name it with --format: one of %s", path, untold(suffix), list(names))
}

func (f *file) convert(ctx context.Context, from Format, out string, to Format, o ConvertOptions) (Report, error) {
	src, err := f.eventsOf(from, o.Channels)
	if err != nil {
		return Report{}, err
	}
	e, err := to.encoder(encoding{oneChannel: len(o.Channels) == 1 || from.OneChannel})
	if err != nil {
		return Report{}, fmt.Errorf("write %s: %w", out, err)
	}
	file, err := create(out, o.Replace)
	if err != nil {
		return Report{}, err
	}
	c := &conversion{f: f, src: src, o: o, w: newWriter(file, e)}
	err = c.run(ctx)
	if err == nil {
		err = c.complete()
	}
	err = c.w.close(err)
	r := Report{Read: src.info(), Written: c.tally.done(nil), Damage: c.damage}
	if d := r.Read.Damage; d != nil && r.Damage == "" {
		r.Damage = d.String()
	}
	r.Written.Format, r.Written.Resolution, r.Written.Size = to.Name, cmp.Or(to.Resolution, 1), file.size
	if s, ok := e.(shifted); ok {
		r.Shift = s.shift()
	}
	if s, ok := e.(rounding); ok {
		r.Rounded = s.rounded()
	}
	return r, err
}

// eventsOf opens the tags of some channels, none for all, by time. Damage is
// passed over when salvaging.
func (f *file) eventsOf(ft Format, channels []int) (events, error) {
	if ft.OneChannel {
		channels = nil
	}
	if ft.Name == Tags {
		t, err := openTags(f)
		if err != nil {
			return nil, err
		}
		return t.events(channels)
	}
	src, err := ft.open(f)
	if f.salvaging {
		src, err = salvage(src, err)
	}
	if err != nil {
		return nil, err
	}
	var want func(int) error
	if channels != nil {
		want = func(channel int) error {
			if slices.Contains(channels, channel) {
				return nil
			}
			return skip
		}
	}
	return newSorter(f, ft, src, want), nil
}

// conversion is one on its way.
type conversion struct {
	f     *file
	src   events
	o     ConvertOptions
	w     *writer
	tally tally // of what was written
	ended bool  // before the end of the file, behind the last tag wanted
	// damage is what ended the reading, when what stands before it is wanted.
	damage string
}

// lookEvery is how many tags pass between two looks at the context.
const lookEvery = 1 << 16

func (c *conversion) run(ctx context.Context) error {
	var one [1]uint64
	for n := 0; ; n++ {
		if n%lookEvery == 0 {
			if err := c.look(ctx); err != nil {
				return err
			}
		}
		e, err := c.src.next()
		switch {
		case err == io.EOF:
			return c.look(ctx)
		case err != nil && c.o.Salvage:
			c.damage, c.ended = err.Error(), true
			return nil
		case err != nil:
			return err
		}
		switch {
		case e.t < c.o.First:
			continue
		case e.t > c.o.Last:
			c.ended = true
			return nil
		}
		one[0] = e.t
		if err := c.w.write(e.channel, one[:]); err != nil {
			return err
		}
		c.tally.add(e.channel, e.t)
	}
}

func (c *conversion) look(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.o.Progress != nil {
		at, err := c.f.Seek(0, io.SeekCurrent)
		if err != nil {
			return readError(c.f.path, err)
		}
		c.o.Progress(at, c.f.Size())
	}
	return nil
}

// complete checks that the channels asked for are there; in a file that was not
// read to its end they may still come.
func (c *conversion) complete() error {
	there := c.src.info().Channels
	for _, channel := range c.o.Channels {
		if len(there) > 0 && !c.ended && !slices.ContainsFunc(there, func(i ChannelInfo) bool { return i.Channel == channel }) {
			return c.f.absent(channel, there)
		}
	}
	return nil
}
