package tagfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// ConvertOptions says what of one file becomes another.
type ConvertOptions struct {
	From     string // format of the file that is read; "" when it tells itself
	To       string // format of the file that is written; "" when its name tells
	Channels []int  // of these; none: all
	First    *int64 // ps: no tags before this; nil: from the first
	Last     *int64 // ps: no tags after this; nil: to the end
	Shift    int64  // ps: added to every time that is written
	Replace  bool   // an existing file may be replaced, once the new one is whole
	Salvage  bool   // what stands before damage is written; Report.Damage says what is wrong
	// Progress, when there is one, is called now and then with how many bytes of the
	// file have been read.
	Progress func(done, of int64)
	// About says where the tags are from, for formats that have room for it: PTU and NPZ.
	About Provenance
	// Through, when there is one, writes the file instead of To.
	Through *Through
	// Output takes the file, when there is one, once it is whole; what is given
	// as its path is only its name in errors.
	Output io.Writer
}

// Report says what [Convert] did.
type Report struct {
	Read    Info   `json:"read"`    // as far as it was read
	Written Info   `json:"written"` // what the new file holds
	Rounded uint64 `json:"rounded"` // tags whose time the new format can only tell to the nearest of its steps
	// Shift was taken off every time, because the counter of the new format
	// wraps; 0 for formats that hold whole times.
	Shift uint64 `json:"shift_ps"`
	// Added was added to every time, as was asked for.
	Added int64 `json:"added_ps,omitempty"`
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
	to, err := o.format(out)
	if err != nil {
		return Report{}, err
	}
	o.Channels = slices.Compact(slices.Sorted(slices.Values(o.Channels)))
	if err := o.checkLimits(in); err != nil {
		return Report{}, err
	}
	f, from, err := openAs(in, o.From)
	if err != nil {
		return Report{}, err
	}
	f.salvaging = o.Salvage
	f.raise = o.raise()
	r, err := again(f, func() (Report, error) {
		f.limits = o.limits(f.raise)
		return f.convert(ctx, from, out, to, o)
	})
	return r, errors.Join(err, f.Close())
}

// checkLimits says whether anything can lie between the limits.
func (o ConvertOptions) checkLimits(in string) error {
	if o.First != nil && o.Last != nil && *o.Last < *o.First {
		return fmt.Errorf("convert %s: nothing lies between %d ps and %d ps", in, *o.First, *o.Last)
	}
	if o.Last != nil && *o.Last < -Raise {
		return fmt.Errorf("convert %s: no time is as early as %d ps; the earliest there can be is %d ps", in, *o.Last, int64(-Raise))
	}
	return nil
}

// raise is what has to be added to all times for what is asked, whatever they are: a
// shift may bring them below 0, and a limit may lie there.
func (o ConvertOptions) raise() uint64 {
	if o.Shift < 0 || o.Last != nil && *o.Last < 0 {
		return Raise
	}
	return 0
}

// limits are the tags that are wanted, of a file that is raised.
func (o ConvertOptions) limits(raise uint64) span {
	within := func(t int64) uint64 {
		if t < 0 && uint64(-t) > raise {
			return 0
		}
		return raise + uint64(t)
	}
	s := everything
	if o.First != nil {
		s.first = within(*o.First)
	}
	if o.Last != nil {
		s.last = within(*o.Last)
	}
	return s
}

// format finds the format of what is written.
func (o ConvertOptions) format(out string) (Format, error) {
	if o.Through != nil {
		return Format{Name: o.Through.Format, encoder: o.Through.encoder}, nil
	}
	return formatToWrite(out, o.To)
}

// formatToWrite finds the format of a file that is not there yet.
func formatToWrite(path, name string) (Format, error) {
	suffix := strings.ToLower(filepath.Ext(path))
	of := bySuffix(suffix)
	if name != "" {
		ft, known := find(name)
		if !known {
			return Format{}, fmt.Errorf("write %s: %s", path, unknownFormat(name))
		}
		of = []Format{ft}
	}
	if len(of) == 1 {
		if !of[0].Writable() {
			return Format{}, fmt.Errorf("write %s: format %s is only read; write one of %s", path, of[0].Name, list(written()))
		}
		return of[0], nil
	}
	names := written()
	if len(of) > 1 {
		names = nil
		for _, ft := range of {
			names = append(names, ft.Name)
		}
	}
	return Format{}, fmt.Errorf("write %s: %s; name it with --out-format: one of %s", path, untold(suffix), list(names))
}

func (f *file) convert(ctx context.Context, from Format, out string, to Format, o ConvertOptions) (Report, error) {
	src, err := f.eventsOf(from, o.Channels)
	if err != nil {
		return Report{}, err
	}
	return f.writeAs(ctx, src, len(o.Channels) == 1 || from.OneChannel, out, to, o)
}

// writeAs writes the tags of a source, which is that of f.
func (f *file) writeAs(ctx context.Context, src events, oneChannel bool, out string, to Format, o ConvertOptions) (Report, error) {
	e, err := to.encoder(encoding{oneChannel: oneChannel, about: o.About, dir: o.spoolDir(out)})
	if err != nil {
		return Report{}, fmt.Errorf("write %s: %w", out, err)
	}
	file, err := createFor(out, o)
	if err != nil {
		return Report{}, err
	}
	c := &conversion{f: f, src: src, o: o, to: to.Name, w: newWriter(file, e)}
	err = c.run(ctx)
	if err == nil {
		err = c.complete()
	}
	err = c.w.close(err)
	r := Report{Read: src.info(), Written: c.tally.done(nil), Added: o.Shift, Damage: c.damage}
	if d := r.Read.Damage; d != nil && r.Damage == "" {
		r.Damage = d.String()
	}
	r.Written.Format, r.Written.Resolution, r.Written.Size, r.Written.Raised = to.Name, cmp.Or(to.Resolution, 1), file.size, f.raise
	if s, ok := e.(shifted); ok {
		r.Shift = s.shift()
	}
	if s, ok := e.(rounding); ok {
		r.Rounded = s.rounded()
	}
	return r, err
}

// spoolDir is where tags may wait: on the disk that takes the file.
func (o ConvertOptions) spoolDir(out string) string {
	if o.Output != nil {
		return ""
	}
	return filepath.Dir(out)
}

func createFor(out string, o ConvertOptions) (*output, error) {
	if o.Output != nil {
		return createSpool(out, o.Output)
	}
	return create(out, o.Replace)
}

// eventsOf opens the tags of some channels, none for all, by time. Damage is
// passed over when salvaging.
func (f *file) eventsOf(ft Format, channels []int) (events, error) {
	if ft.OneChannel {
		channels = nil
	}
	f.markers = slices.ContainsFunc(channels, isMarker)
	if ft.Name == Tags {
		t, err := openTags(f)
		if err != nil {
			return nil, err
		}
		return t.events(channels)
	}
	if ft.Name == Bin && f.raise == 0 && !f.salvaging {
		return binEvents{newBinReader(f, Info{Format: Bin, Size: f.Size(), Resolution: ft.Resolution})}, nil
	}
	src, err := f.source(ft)
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
	to    string // format
	w     *writer
	tally tally // of what was written
	ended bool  // before the end of the file, behind the last tag wanted
	// damage is what ended the reading, when what stands before it is wanted.
	damage string
}

// convertBatch is how many tags are converted at once; the context is looked at
// between.
const convertBatch = 1 << 16

func (c *conversion) run(ctx context.Context) error {
	buf := make([]uint64, convertBatch)
	for left := 0; ; {
		if left <= 0 {
			if err := c.look(ctx); err != nil {
				return err
			}
			left = convertBatch
		}
		n, channel, err := c.src.next(buf)
		switch {
		case err == io.EOF:
			return c.look(ctx)
		case err != nil && c.o.Salvage && !IsBelowZero(err):
			c.damage, c.ended = err.Error(), true
			return nil
		case err != nil:
			return err
		}
		if err := c.write(channel, c.wanted(buf[:n])); err != nil || c.ended {
			return err
		}
		left -= n
	}
}

// wanted are those of some tags in order that lie within the limits.
func (c *conversion) wanted(tags []uint64) []uint64 {
	if from := c.f.limits.first; len(tags) > 0 && tags[0] < from {
		first, _ := slices.BinarySearch(tags, from)
		tags = tags[first:]
	}
	if last := c.f.limits.last; len(tags) > 0 && tags[len(tags)-1] > last {
		c.ended = true
		end, _ := slices.BinarySearch(tags, last+1)
		tags = tags[:end]
	}
	return tags
}

// write writes tags of one channel at their places, and changes them.
func (c *conversion) write(channel int, tags []uint64) error {
	if len(tags) == 0 {
		return nil
	}
	if c.o.Shift != 0 {
		if err := move(tags, c.f.raise, c.o.Shift); err != nil {
			return fmt.Errorf("write %s: %w", c.w.out.path, err)
		}
	}
	c.tally.addAll(channel, tags)
	if c.f.raise > 0 {
		below, _ := slices.BinarySearch(tags, c.f.raise)
		for i := range tags {
			tags[i] -= c.f.raise
		}
		if err := c.writeBelow(channel, tags[:below]); err != nil {
			return err
		}
		tags = tags[below:]
	}
	return c.w.write(channel, tags)
}

// writeBelow writes tags before 0.
func (c *conversion) writeBelow(channel int, tags []uint64) error {
	signed, can := c.w.encoder.(signed)
	for _, t := range tags {
		if !can {
			return fmt.Errorf("write %s: %d ps is before 0, where times of format %s do not go; raise all times with --shift, as --shift '1 s', or write %s",
				c.w.out.path, int64(t), c.to, list(signedFormats()))
		}
		if err := c.w.writeBelow(signed, channel, t); err != nil {
			return err
		}
	}
	return nil
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
