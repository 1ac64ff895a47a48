// Package tagfile reads and writes files of time tags, those of tsrun and those
// of other instruments.
//
// Files are read by [Open], [OpenSegments], [ReadAll] and [ReadRecording],
// counted by [Scan] and written by [WriteFile] or an [Encoder].
package tagfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The file formats. Bin, Txt and Csv are written and read; the others are
// recordings of other instruments and only read.
const (
	Bin   = "bin"   // little-endian u64 ps, nothing else; one channel
	Txt   = "txt"   // a line "channel;ps" per tag
	Csv   = "csv"   // a line "channel,ps", then one like it per tag
	QuTAG = "qutag" // qutools quTAG binary
	PTU   = "ptu"   // PicoQuant T2, unified file format
)

// OnlyChannel asks for the tags of a file that holds one channel; with it, a
// file of several channels is an error that lists them.
const OnlyChannel = -1

// binChannel is the channel number of bin files, which carry none.
const binChannel = 1

// maxInMemory bounds the size in bytes of a file that is read as a whole.
const maxInMemory = 16 << 30

// format is how one file format is told and read.
type format struct {
	name     string
	suffixes []string
	open     func(f *file) (source, error) // nil for bin, which has no records with channels
}

// source yields the tags of a file in file order, io.EOF at the end.
type source interface {
	next() (channel int, t uint64, err error)
	// place says where the tag that next returned last is: "line 7", "record 6".
	place() string
	// skipped counts the records so far that are no tags.
	skipped() uint64
}

func formats() []format {
	return []format{
		{Bin, []string{".bin"}, nil},
		{Txt, []string{".txt"}, openTxt},
		{Csv, []string{".csv"}, openCsv},
		{QuTAG, []string{".qutag"}, openQuTAG},
		{PTU, []string{".ptu", ".timeres"}, openPTU},
	}
}

// Formats returns the names of the formats that can be read.
func Formats() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return names
}

// formatOf finds the format by its name or, when that is empty, by the file's.
func formatOf(path, name string) (format, error) {
	suffix := strings.ToLower(filepath.Ext(path))
	for _, f := range formats() {
		if name == f.name || name == "" && slices.Contains(f.suffixes, suffix) {
			return f, nil
		}
	}
	if name != "" {
		return format{}, fmt.Errorf("read %s: unknown format %q; known are %s", path, name, strings.Join(Formats(), ", "))
	}
	return format{}, fmt.Errorf("read %s: its name does not tell the format; name one of %s", path, strings.Join(Formats(), ", "))
}

// file is an open tag file. Only the bytes it had when it was opened are read.
type file struct {
	*io.SectionReader
	path   string
	closer io.Closer
}

// openFile opens a regular file; anything else could block or never end.
func openFile(path string) (*file, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, readError(path, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, readError(path, err)
	}
	return &file{SectionReader: io.NewSectionReader(f, 0, st.Size()), path: path, closer: f}, nil
}

func (f *file) Close() error { return f.closer.Close() }

func (f *file) errorf(format string, args ...any) error {
	return fmt.Errorf("read %s: "+format, append([]any{f.path}, args...)...)
}

// readError says which file, once: the os package's errors name it already.
func readError(path string, err error) error {
	var named *os.PathError
	if errors.As(err, &named) {
		err = named.Err
	}
	return fmt.Errorf("read %s: %w", path, err)
}

// Info says what a file holds.
type Info struct {
	Format     string
	Size       int64         // bytes
	Channels   []ChannelInfo // by number; none when only reading the file could tell
	Violations uint64        // tags that are before the tag written before them, of whatever channel
	Skipped    uint64        // records that are no tags, such as markers
}

// ChannelInfo says what a file holds of one channel.
type ChannelInfo struct {
	Channel     int
	Tags        uint64
	First, Last uint64 // earliest and latest, ps; 0 when Tags is 0
}

// Tags returns the number of tags of all channels.
func (i Info) Tags() uint64 {
	n := uint64(0)
	for _, c := range i.Channels {
		n += c.Tags
	}
	return n
}

// tally builds an Info from tags in file order.
type tally struct {
	info     Info
	previous uint64
	any      bool
	nth      map[int]int // channel → index in info.Channels
	last     int         // index of the previous tag's channel
}

// add returns the index of the tag's channel in the order of first appearance.
func (y *tally) add(channel int, t uint64) int {
	if y.any && t < y.previous {
		y.info.Violations++
	}
	if !y.any || y.info.Channels[y.last].Channel != channel {
		y.last = y.find(channel, t)
	}
	y.previous, y.any = t, true
	c := &y.info.Channels[y.last]
	c.Tags++
	c.First, c.Last = min(c.First, t), max(c.Last, t)
	return y.last
}

func (y *tally) find(channel int, t uint64) int {
	i, known := y.nth[channel]
	if !known {
		if y.nth == nil {
			y.nth = map[int]int{}
		}
		i = len(y.info.Channels)
		y.nth[channel] = i
		y.info.Channels = append(y.info.Channels, ChannelInfo{Channel: channel, First: t, Last: t})
	}
	return i
}

// done returns the Info; no tags are added after it.
func (y *tally) done() Info {
	slices.SortFunc(y.info.Channels, func(a, b ChannelInfo) int { return a.Channel - b.Channel })
	return y.info
}
