package tagfile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tsrun/pipeline/tag"
)

// ReadCloser is a [tag.Reader] of something that has to be closed.
type ReadCloser interface {
	tag.Reader
	io.Closer
}

// Open opens a file of tags for reading one channel piece by piece. The format
// is one of [Formats], or told from the name when it is empty. The channel is
// a number in the file, or [OnlyChannel]; it is ignored for bin files.
//
// Files of bin, txt and csv are read in bounded memory. They must be in time
// order; the first tag that is not ends them with an error that says where.
// Recordings of other instruments are held in memory and sorted. Info has no
// channels for txt and csv, and no count of violations for bin; [Scan] tells.
func Open(path, format string, channel int) (ReadCloser, Info, error) {
	ft, err := formatOf(path, format)
	if err != nil {
		return nil, Info{}, err
	}
	if ft.name == QuTAG || ft.name == PTU {
		r, err := readRecording(path, ft)
		if err != nil {
			return nil, Info{}, err
		}
		tags, err := r.channel(path, channel)
		if err != nil {
			return nil, Info{}, err
		}
		return nopCloser{tag.NewReader(tags)}, r.Info, nil
	}
	f, err := openFile(path)
	if err != nil {
		return nil, Info{}, err
	}
	info := Info{Format: ft.name, Size: f.Size()}
	var r ReadCloser
	if ft.name == Bin {
		info.Channels, err = binEnds(f)
		r = newBinReader(f)
	} else {
		r, err = newSourceReader(f, ft, channel)
	}
	if err != nil {
		return nil, Info{}, errors.Join(err, f.Close())
	}
	return r, info, nil
}

// Recording is a whole file in memory.
type Recording struct {
	Info     Info
	Channels map[int][]uint64 // ps, in time order
	First    uint64           // ps: the earliest tag of any channel; 0 without tags
}

// ReadRecording reads all channels of a file and sorts each. The tags of a bin
// file are channel 1. It needs memory of a few times the size of the file.
func ReadRecording(path, format string) (Recording, error) {
	ft, err := formatOf(path, format)
	if err != nil {
		return Recording{}, err
	}
	return readRecording(path, ft)
}

// ReadAll reads all tags of one channel of a file, sorted. Format and channel
// are those of [Open].
func ReadAll(path, format string, channel int) ([]uint64, error) {
	ft, err := formatOf(path, format)
	if err != nil {
		return nil, err
	}
	r, err := readRecording(path, ft)
	if err != nil {
		return nil, err
	}
	if ft.name == Bin {
		channel = OnlyChannel
	}
	return r.channel(path, channel)
}

// Scan reads a file through and says what it holds; bin, txt and csv files in
// bounded memory.
func Scan(path, format string) (Info, error) {
	ft, err := formatOf(path, format)
	if err != nil {
		return Info{}, err
	}
	f, err := openFile(path)
	if err != nil {
		return Info{}, err
	}
	info, err := scan(f, ft, func(int, int, uint64) {})
	return info, errors.Join(err, f.Close())
}

// scan gives each tag to visit, in file order. Channels are also counted in the
// order in which they first appear; nth is that number.
func scan(f *file, ft format, visit func(nth, channel int, t uint64)) (Info, error) {
	y := tally{info: Info{Format: ft.name, Size: f.Size()}}
	open := ft.open
	if ft.name == Bin {
		open = openBin
	}
	src, err := open(f)
	if err != nil {
		return Info{}, err
	}
	for {
		channel, t, err := src.next()
		if err == io.EOF {
			y.info.Skipped = src.skipped()
			return y.done(), nil
		}
		if err != nil {
			return Info{}, err
		}
		visit(y.add(channel, t), channel, t)
	}
}

func readRecording(path string, ft format) (Recording, error) {
	f, err := openFile(path)
	if err != nil {
		return Recording{}, err
	}
	r, err := f.recording(ft)
	return r, errors.Join(err, f.Close())
}

// recording reads all of f.
func (f *file) recording(ft format) (Recording, error) {
	if f.Size() > maxInMemory {
		return Recording{}, f.errorf("%d bytes are too many to hold in memory, at most %d", f.Size(), int64(maxInMemory))
	}
	if ft.name == Bin {
		return binRecording(f)
	}
	var numbers []int
	var lists [][]uint64
	r := Recording{Channels: map[int][]uint64{}}
	var err error
	r.Info, err = scan(f, ft, func(nth, channel int, t uint64) {
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
			slices.Sort(tags)
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
func (r Recording) channel(path string, channel int) ([]uint64, error) {
	if len(r.Channels) == 0 {
		return nil, nil
	}
	if channel == OnlyChannel && len(r.Channels) == 1 {
		return r.Channels[r.Info.Channels[0].Channel], nil
	}
	if tags, found := r.Channels[channel]; found {
		return tags, nil
	}
	var names []string
	for _, c := range r.Info.Channels {
		names = append(names, fmt.Sprint(c.Channel))
	}
	if channel == OnlyChannel {
		return nil, fmt.Errorf("read %s: it holds channels %s; choose one", path, strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("read %s: no tags of channel %d; it holds %s", path, channel, strings.Join(names, ", "))
}

type nopCloser struct{ tag.Reader }

func (nopCloser) Close() error { return nil }

// sourceReader reads one channel of a source and insists on time order.
type sourceReader struct {
	*file
	src      source
	channel  int // OnlyChannel until the first tag tells
	only     bool
	previous uint64
	found    bool
	others   bool
	err      error
}

func newSourceReader(f *file, ft format, channel int) (*sourceReader, error) {
	src, err := ft.open(f)
	if err != nil {
		return nil, err
	}
	return &sourceReader{file: f, src: src, channel: channel, only: channel == OnlyChannel}, nil
}

func (r *sourceReader) Next(buf []uint64) (int, error) {
	n := 0
	for n < len(buf) && r.err == nil {
		var t uint64
		if t, r.err = r.tag(); r.err == nil {
			buf[n] = t
			n++
		}
	}
	if n > 0 {
		return n, nil // the error comes with the next call
	}
	return 0, r.err
}

func (r *sourceReader) tag() (uint64, error) {
	for {
		channel, t, err := r.src.next()
		if err == io.EOF && r.others && !r.found {
			return 0, r.errorf("no tags of channel %d", r.channel)
		}
		if err != nil {
			return 0, err
		}
		if r.only && !r.found {
			r.channel = channel
		}
		if channel != r.channel {
			if r.only {
				return 0, r.errorf("%s is of channel %d, those before are of %d; choose a channel", r.src.place(), channel, r.channel)
			}
			r.others = true
			continue
		}
		if r.found && t < r.previous {
			return 0, r.errorf("%s goes back in time: %d ps after %d ps; %s", r.src.place(), t, r.previous, severalRecords)
		}
		r.found, r.previous = true, t
		return t, nil
	}
}

// severalRecords is the usual cause of tags that go back in time in a file
// that a controller wrote.
const severalRecords = "the file may hold several records one after another"
