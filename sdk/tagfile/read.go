package tagfile

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"tsrun/sdk/tag"
)

// maxInMemory bounds the size in bytes of a file that is read as a whole.
const maxInMemory = 16 << 30

// ReadCloser is a [tag.Reader] of something that has to be closed.
type ReadCloser interface {
	tag.Reader
	io.Closer
}

// FileReader reads one channel of one file.
type FileReader interface {
	ReadCloser
	// Info says what the file held as far as it has been read; all of it
	// after io.EOF. It is of all channels that were passed on the way.
	Info() Info
}

// Open opens a file of tags for reading one channel piece by piece, in bounded
// memory. The format is one of [Formats], or told from the file when it is
// empty. The channel is a number in the file, or [OnlyChannel]; it is ignored
// for files that hold no numbers.
//
// Tags that are out of order by at most 1 us (262 us in the formats of
// S-Fifteen) are sorted and counted; one that is farther back ends the file with an error that says where. Info has the
// channels when the file tells them at once.
func Open(path, format string, channel int) (FileReader, Info, error) {
	return openFor(path, format, channel, 0, (*file).format)
}

// OpenSegment is [Open] of a file that a sink of a run has written: its format is
// that of its name where none is given, and its tags may look like anything.
func OpenSegment(path, format string, channel int) (FileReader, Info, error) {
	return openFor(path, format, channel, 0, (*file).formatOfSegment)
}

func openFor(path, format string, channel int, raise uint64, find func(f *file, name string) (Format, error)) (FileReader, Info, error) {
	f, ft, err := openBy(path, format, find)
	if err != nil {
		return nil, Info{}, err
	}
	f.raise = raise
	r, info, err := f.reader(ft, channel)
	if err != nil {
		return nil, Info{}, errors.Join(err, f.Close())
	}
	return r, info, nil
}

func (f *file) reader(ft Format, channel int) (FileReader, Info, error) {
	f.markers = isMarker(channel)
	info := Info{Format: ft.Name, Size: f.Size(), Resolution: ft.Resolution}
	if ft.Name == Bin && f.raise == 0 {
		return newBinReader(f, info), info, nil
	}
	if ft.Name == Tags {
		t, err := openTags(f)
		if err != nil {
			return nil, Info{}, err
		}
		r, err := t.reader(channel)
		if err == nil && f.raise > 0 {
			return raisedReader{r, f}, t.summary(), nil
		}
		return r, t.summary(), err
	}
	src, err := f.source(ft)
	if err != nil {
		return nil, Info{}, err
	}
	r := &channelReader{file: f, channel: channel, only: channel == OnlyChannel || ft.OneChannel}
	r.sorter = newSorter(f, ft, src, r.want)
	return r, info, nil
}

// channelReader reads one channel of a source.
type channelReader struct {
	*file
	*sorter
	channel int // once only is settled
	only    bool
	found   bool
	others  bool
}

func (r *channelReader) Info() Info { return r.sorter.info() }

// want lets the tags of the channel pass.
func (r *channelReader) want(channel int) error {
	if r.only && !r.found {
		r.channel = channel
	}
	switch {
	case channel == r.channel:
		r.found = true
		return nil
	case r.only:
		return r.errorf("%s is of channel %d, those before are of %d; name one of them, or several, with --channel N,M,...; tsrun info lists them", r.src.place(), channel, r.channel)
	}
	r.others = true
	return skip
}

func (r *channelReader) Next(buf []uint64) (int, error) {
	n, _, err := r.sorter.next(buf)
	if err == io.EOF && r.others && !r.found {
		err = r.absent(r.channel, r.Info().Channels)
	}
	return n, err
}

// absent says which channels there are instead of the one asked for.
func (f *file) absent(channel int, there []ChannelInfo) error {
	var names []string
	for _, c := range there {
		names = append(names, f.channelName(c.Channel))
	}
	if channel == OnlyChannel {
		return f.errorf("it holds channels %s; choose one", list(names))
	}
	return f.errorf("no tags of channel %s; it holds %s", f.channelName(channel), list(names))
}

// channelName is how users name a channel.
func (f *file) channelName(channel int) string {
	if f.markers && isMarker(channel) {
		return fmt.Sprintf("m%d", channel-markerBase)
	}
	return fmt.Sprint(channel)
}

// Recording is a whole file in memory.
type Recording struct {
	Info     Info
	Channels map[int][]uint64 // ps, in time order
	First    uint64           // ps: the earliest tag of any channel; 0 without tags
}

// ReadRecording reads all channels of a file and sorts each, however far out of
// order its tags are. The tags of a file without channel numbers are channel 1.
// It needs memory of a few times the size of the file.
func ReadRecording(path, format string) (Recording, error) {
	f, ft, err := openAs(path, format)
	if err != nil {
		return Recording{}, err
	}
	r, err := f.recording(ft)
	return r, errors.Join(err, f.Close())
}

// ReadAll reads all tags of one channel of a file, sorted. Format and channel
// are those of [Open].
func ReadAll(path, format string, channel int) ([]uint64, error) {
	f, ft, err := openAs(path, format)
	if err != nil {
		return nil, err
	}
	f.markers = isMarker(channel)
	r, err := f.recording(ft)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if ft.OneChannel {
		channel = OnlyChannel
	}
	return r.channel(f, channel)
}

// Scan says what a file holds, in bounded memory. It reads the file through. Of a damaged file it says what is
// whole ([Info.Damage]) and returns the first damage as an error; with any other
// error it returns what was found before it.
func Scan(path, format string) (Info, error) {
	f, ft, err := openAs(path, format)
	if err != nil {
		return Info{}, err
	}
	info, err := again(f, func() (Info, error) { return scan(f, ft) })
	return info, errors.Join(err, f.Close())
}

// source opens the tags of a file in file order, raised as f says.
func (f *file) source(ft Format) (source, error) {
	src, err := ft.open(f)
	if err == nil && f.raise > 0 && !ft.signed {
		src = raiser{src, f}
	}
	return src, err
}

func scan(f *file, ft Format) (Info, error) {
	if ft.Name == Tags {
		f.salvaging = true
		t, err := openTags(f)
		if err == nil {
			err = t.prove()
		}
		if err != nil {
			return Info{}, err
		}
		return t.summary(), t.first
	}
	if ft.Name == Bin && f.raise == 0 {
		return scanBin(f)
	}
	src, err := salvage(f.source(ft))
	if err != nil {
		return Info{}, err
	}
	info, err := readThrough(f, ft, src, func(int, int, uint64) {})
	if err == nil {
		err = src.first
	}
	return info, err
}

// readThrough gives each tag to visit, in file order. Channels are also counted
// in the order in which they first appear; nth is that number.
func readThrough(f *file, ft Format, src source, visit func(nth, channel int, t uint64)) (Info, error) {
	s := newSorter(f, ft, src, nil)
	for {
		channel, t, err := src.next()
		if err == io.EOF {
			return s.info(), nil
		}
		if err != nil {
			return s.info(), err
		}
		visit(s.tally.add(channel, t), channel, t)
	}
}

// recording reads all of f.
func (f *file) recording(ft Format) (Recording, error) {
	if f.Size() > maxInMemory {
		return Recording{}, f.errorf("%d bytes are too many to hold in memory, at most %d", f.Size(), int64(maxInMemory))
	}
	switch ft.Name {
	case Bin:
		return binRecording(f)
	case Tags:
		t, err := openTags(f)
		if err != nil {
			return Recording{}, err
		}
		return t.recording()
	}
	src, err := f.source(ft)
	if err != nil {
		return Recording{}, err
	}
	var numbers []int
	var lists [][]uint64
	r := Recording{Channels: map[int][]uint64{}}
	r.Info, err = readThrough(f, ft, src, func(nth, channel int, t uint64) {
		if nth == len(lists) {
			numbers, lists = append(numbers, channel), append(lists, nil)
		}
		lists[nth] = append(lists[nth], t)
	})
	if err != nil {
		return Recording{}, err
	}
	for nth, channel := range numbers {
		r.Channels[channel] = lists[nth]
	}
	if r.Info.Violations > 0 {
		for _, tags := range r.Channels {
			if !slices.IsSorted(tags) {
				slices.Sort(tags)
			}
		}
	}
	for i, c := range r.Info.Channels {
		if i == 0 || c.First < r.First {
			r.First = c.First
		}
	}
	return r, nil
}

// channel returns the tags of one channel, or of the only one.
func (r Recording) channel(f *file, channel int) ([]uint64, error) {
	if len(r.Channels) == 0 {
		return nil, nil
	}
	if channel == OnlyChannel && len(r.Channels) == 1 {
		return r.Channels[r.Info.Channels[0].Channel], nil
	}
	if tags, found := r.Channels[channel]; found {
		return tags, nil
	}
	return nil, f.absent(channel, r.Info.Channels)
}
