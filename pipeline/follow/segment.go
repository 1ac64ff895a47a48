package follow

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/run"
	"tsrun/sdk"
	"tsrun/sdk/following"
	"tsrun/sdk/tagfile"
)

// line is what is printed of a segment.
type line struct {
	Channel   string    `json:"channel"`
	Sink      string    `json:"sink"`
	Segment   int       `json:"segment"`
	Tags      uint64    `json:"tags"`
	Simulated bool      `json:"simulated"`
	At        time.Time `json:"at"`
	File      string    `json:"file"`
	SHA256    string    `json:"sha256"`
}

// deliver reads the segments of a series that are here, in their order. At the end those
// behind one that is missing are read, too.
func (f *follower) deliver(s *followed, over bool) error {
	for _, index := range slices.Sorted(maps.Keys(s.waiting)) {
		if index != s.next && !over {
			return nil
		}
		segment := s.waiting[index]
		here, err := f.read(s, &segment)
		switch {
		case err != nil:
			return err
		case here:
			f.moved = time.Now()
		case !over: // on its way
			return nil
		default:
			f.lack(segment.File + " was proven, and is not here any more")
		}
		delete(s.waiting, index)
		s.next = index + 1
	}
	s.Ended = over
	return nil
}

// read proves a file, and prints and copies it; here is false where there is none.
func (f *follower) read(s *followed, segment *run.Segment) (here bool, err error) {
	in, err := run.OpenFile(f.o.Dir, segment.File)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("follow %s: %w", segment.File, err)
	}
	defer in.Close()
	if err := f.prove(in, segment); err != nil {
		return false, err
	}
	if f.o.Tags {
		if err := f.printTags(s.Channel, segment); err != nil {
			return false, fmt.Errorf("follow %s: %w", segment.File, err)
		}
	}
	s.Tags, s.Segments = s.Tags+segment.Tags, s.Segments+1
	if f.o.Tags || f.o.Count {
		return true, nil
	}
	return true, f.out.JSON(line{s.Channel, s.Sink, segment.Index, segment.Tags, f.simulated(segment), time.Now().UTC(), segment.File, segment.SHA256})
}

// prove hashes a file, and copies it where that is asked for.
func (f *follower) prove(in io.Reader, s *run.Segment) error {
	var sum interface {
		io.Writer
		Hex() string
	} = following.NewSum()
	var file *following.File
	if f.o.Out != "" {
		var err error
		if file, err = following.Create(f.o.copyOf(s)); err != nil {
			return err
		}
		sum = file
	}
	n, err := io.Copy(sum, io.LimitReader(in, s.Size+1))
	if err == nil && (n != s.Size || sum.Hex() != s.SHA256) {
		err = &sdk.Failure{Code: "follow-changed", Message: fmt.Sprintf("%s is not the file that the run has proven: its size or its SHA-256 is another", s.File),
			Hint: "tsrun verify says what else of the run is not as it was"}
	}
	switch {
	case file == nil:
		return err
	case err != nil:
		file.Abandon()
		return err
	}
	return file.Close(s.SHA256)
}

// printTags prints the tags of a file.
func (f *follower) printTags(channel string, s *run.Segment) (err error) {
	r, _, err := tagfile.OpenSegment(filepath.Join(f.o.Dir, filepath.FromSlash(s.File)), s.Format, tagfile.OnlyChannel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if f.tags == nil {
		f.tags = make([]uint64, 4096)
	}
	for count := uint64(0); ; {
		n, err := r.Next(f.tags)
		count += uint64(n)
		f.text = following.AppendTags(f.text[:0], channel, f.tags[:n])
		if printed := f.out.Write(f.text); printed != nil {
			return printed
		}
		switch {
		case err == io.EOF && count == s.Tags:
			return nil
		case err == io.EOF:
			return fmt.Errorf("it holds %d tags, the run says %d", count, s.Tags)
		case err != nil:
			return err
		}
	}
}

func (f *follower) simulated(s *run.Segment) bool {
	n := f.m.Nodes[s.Node]
	if n == nil || n.Channels[s.Channel] == nil {
		return false
	}
	c := n.Controllers[n.Channels[s.Channel].Controller]
	return c != nil && c.Device.Simulated
}

// judge says what a run that has ended lacks of what was followed.
func (f *follower) judge() error {
	for _, node := range f.m.NodeOrder() {
		for _, channel := range run.ByStream(f.m.Nodes[node].Channels) {
			kept := slices.ContainsFunc(keepers(f.m.Nodes[node], channel), func(sink string) bool { return len(f.o.Sinks) == 0 || slices.Contains(f.o.Sinks, sink) })
			if f.o.Wants(node, channel) && !f.has(node, channel) && (kept || len(f.o.Channels) > 0) {
				f.lack(f.m.NoSource(node, channel).Error())
			}
		}
	}
	if f.m.Has(run.Aborted) {
		i := slices.IndexFunc(f.m.Reasons, func(r run.Reason) bool { return r.Condition == run.Aborted })
		why := ""
		if i >= 0 {
			why = ": " + f.m.Reasons[i].Message
		}
		return &sdk.Failure{Code: "follow-aborted", Message: "the run was aborted" + why, Hint: f.lacking("what is there of it was followed")}
	}
	if len(f.lacks) > 0 {
		return &sdk.Failure{Code: "follow-lacks", Message: "the run has ended without all files: " + f.lacking(""), Hint: "tsrun resume " + f.o.Dir + " takes what the nodes still have"}
	}
	var totals []following.Total
	for _, s := range f.of {
		totals = append(totals, s.Total)
	}
	return f.o.Missing(totals)
}

// lacking are some of what is missing, in words.
func (f *follower) lacking(nothing string) string {
	const most = 3
	switch n := len(f.lacks); {
	case n == 0:
		return nothing
	case n > most:
		return fmt.Sprintf("%s, and %d more", strings.Join(f.lacks[:most], "; "), n-most)
	}
	return strings.Join(f.lacks, "; ")
}

func (f *follower) has(node, channel string) bool {
	for k := range f.of {
		if k.node == node && k.channel == channel {
			return true
		}
	}
	return false
}
