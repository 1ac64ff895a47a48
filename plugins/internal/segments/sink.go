// Package segments keeps streams of tags in rows of segment files, for sinks of any
// format.
//
// Every stream becomes a row of segment files, cut by the time of the tags:
// segment k holds the tags from k times the segment's length up to, and not
// including, k+1 times. A segment without tags is a file without tags, so that
// a missing number always means a missing file.
//
//	signal-000000.bin          whole: durable, hashed, never changed again
//	.signal-000001.bin.part    being written, or left by a failure
//
// A segment is written under its second name and hashed on the way. When it is
// full it goes to a closer in the background, which makes it durable and gives
// it its first name; only then the host hears of it.
//
// A process that goes on with the recording of one that died begins behind the
// segments which that has told of, and replaces what else it has left.
//
//	sink      streams of blocks, cut into segments
//	segment   one file: write, hash, publish
//	beside    what is done while tags are written: the hash, hints for the disk
//	closer    publishes segments in the background, in order
//	failure   what to tell when the disk does not take it
package segments

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"path/filepath"
	"slices"
	"strings"

	"tsrun/sdk"
	"tsrun/sdk/tag"
)

// Encoder turns the tags of one segment into the bytes of its file. Some may stay in it
// until Finish.
type Encoder interface {
	Format() string  // what the file's name ends in
	Heading() []byte // what the file begins with
	Append(dst []byte, tags []uint64) ([]byte, error)
	Finish(dst []byte) ([]byte, error)
}

// Telling is an encoder of a format that says how many tags of its segment were lost. It is
// told before Finish.
type Telling interface{ Lost(tags uint64) }

// Options say what the files are.
type Options struct {
	// Encoder makes that of the nth segment of a stream.
	Encoder func(r sdk.Recording, s sdk.RecordedStream, nth int) (Encoder, error)
	// Foreign says that the files are in no format of tags that tsrun reads: they are
	// told of as [sdk.Other], and by [sdk.Recording.Kept] how many tags are in them.
	Foreign bool
}

// New returns a sink of segment files.
func New(o Options) sdk.Sink { return &sink{options: o} }

// maxIndex is the highest number of a segment: file names have six digits, and
// a damaged tag must not make a million empty files.
const maxIndex = 999_999

// sink is a recording of several streams into one directory.
type sink struct {
	options Options
	record  sdk.Recording
	dir     *place
	length  uint64 // ps of one segment; 0: one segment per stream
	streams map[uint16]*stream
	resumed bool // a process before this one may have left files
	closer  *closer
	beside  *beside
	encoded []byte // reused by the segments' encoders
}

// stream is a row of segments.
type stream struct {
	sdk.RecordedStream
	index   int      // of the current segment
	start   uint64   // ps: its first instant
	last    uint64   // ps: its last instant
	lost    uint64   // tags lost within it
	kept    uint64   // tags in the segments before it
	segment *segment // nil until it has tags or ends
	ended   bool
}

func (s *sink) Begin(_ context.Context, r sdk.Recording) error {
	if err := s.plan(r); err != nil {
		return err
	}
	dir, err := openPlace(r.Dir)
	if err != nil {
		return failure(r.Dir, fmt.Errorf("open directory: %w", err))
	}
	s.dir = dir
	s.record = r
	s.closer = newCloser(dir, s.told)
	s.beside = newBeside(r)
	// The first files are made at once, so that a directory which takes none
	// is noticed before anything is measured.
	for _, st := range s.streams {
		if err := s.openSegment(st); err != nil {
			return err
		}
	}
	return nil
}

// told tells of a segment that is whole.
func (s *sink) told(g *segment) {
	a := g.artifact
	if s.options.Foreign {
		a = sdk.Artifact{Kind: sdk.Other, Path: a.Path, Size: a.Size, SHA256: a.SHA256}
	}
	s.record.Closed(a)
	if s.options.Foreign {
		s.record.Kept(g.artifact.Stream, g.until)
	}
}

// plan checks what is to be recorded.
func (s *sink) plan(r sdk.Recording) error {
	if s.streams != nil {
		return errors.New("begin: this sink is recording already")
	}
	carry, length := bits.Mul64(uint64(r.Segment), 1000)
	if r.Segment < 0 || carry != 0 {
		return fmt.Errorf("begin: a segment of %v is not between 0 and 213 days", r.Segment)
	}
	s.length = length
	s.streams = map[uint16]*stream{}
	names := map[string]bool{}
	for _, rs := range r.Streams {
		if rs.Name == "" || rs.Name != filepath.Base(rs.Name) || strings.HasPrefix(rs.Name, ".") {
			return fmt.Errorf("begin: %q cannot be the name of a file", rs.Name)
		}
		if names[rs.Name] || s.streams[rs.Stream] != nil {
			return fmt.Errorf("begin: stream %d %q is there twice", rs.Stream, rs.Name)
		}
		names[rs.Name] = true
		st := &stream{RecordedStream: rs, last: s.length - 1, index: rs.Told}
		if rs.Told > 0 {
			carry, start := bits.Mul64(uint64(rs.Told), s.length)
			if carry != 0 || s.length == 0 || rs.Told > maxIndex {
				return fmt.Errorf("begin: %d segments of %v are more than there can be", rs.Told, r.Segment)
			}
			st.start, st.last = start, start+min(s.length-1, math.MaxUint64-start)
		}
		s.streams[rs.Stream] = st
	}
	s.resumed = r.Resumed
	return nil
}

func (s *sink) openSegment(st *stream) error {
	encoder, err := s.options.Encoder(s.record, st.RecordedStream, st.index)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%06d.%s", st.Name, st.index, encoder.Format())
	seg, err := createSegment(s.dir.Name(), name, encoder, s.beside, s.resumed)
	if err != nil {
		return s.dir.failure(err)
	}
	seg.artifact.Stream, seg.artifact.Segment = st.Stream, st.index
	st.segment = seg
	return nil
}

// Write keeps the tags of b. Blocks come in time order, checked by the SDK.
func (s *sink) Write(ctx context.Context, b *tag.Block) error {
	if err := s.closer.failed(); err != nil {
		return err
	}
	st := s.streams[b.Stream]
	if st == nil || st.ended {
		return fmt.Errorf("stream %d is not being recorded", b.Stream)
	}
	st.lost += b.Lost
	if err := s.writeTags(ctx, st, b.Tags); err != nil {
		return err
	}
	// Nothing before Until will come: what ends there or before is full.
	for st.last < b.Until {
		if err := s.rotate(ctx, st); err != nil {
			return err
		}
	}
	if b.Kind == tag.End {
		return s.end(ctx, st, b.Until)
	}
	return nil
}

func (s *sink) writeTags(ctx context.Context, st *stream, tags []uint64) error {
	for len(tags) > 0 {
		if tags[0] > st.last {
			if err := s.rotate(ctx, st); err != nil {
				return err
			}
			continue
		}
		n := len(tags)
		if tags[n-1] > st.last {
			n, _ = slices.BinarySearch(tags, st.last+1)
		}
		if st.segment == nil {
			if err := s.openSegment(st); err != nil {
				return err
			}
		}
		var err error
		if s.encoded, err = st.segment.write(tags[:n], s.encoded); err != nil {
			return s.dir.failure(err)
		}
		tags = tags[n:]
	}
	return nil
}

// rotate ends the current segment and makes the next one current.
func (s *sink) rotate(ctx context.Context, st *stream) error {
	if st.last == math.MaxUint64 {
		return fmt.Errorf("stream %s goes on after its only segment", st.Name)
	}
	if st.index == maxIndex {
		return &sdk.Failure{Code: "too-many-segments",
			Message: fmt.Sprintf("stream %s goes beyond %d ps, the end of segment %d", st.Name, st.last, maxIndex),
			Hint:    "make acquire.segment longer, or look at the controller: a tag this late may be damaged"}
	}
	if err := s.endSegment(ctx, st); err != nil {
		return err
	}
	st.index++
	st.start = st.last + 1
	st.last = st.start + min(s.length-1, math.MaxUint64-st.start)
	return nil
}

// endSegment gives the current segment to the closer, made when it has no tags.
func (s *sink) endSegment(ctx context.Context, st *stream) error {
	if st.segment == nil {
		if err := s.openSegment(st); err != nil {
			return err
		}
	}
	seg := st.segment
	seg.artifact.Lost = st.lost
	if e, ok := seg.encoder.(Telling); ok {
		e.Lost(st.lost)
	}
	st.kept += seg.artifact.Tags
	seg.until = st.kept
	var err error
	if s.encoded, err = seg.finish(s.encoded); err != nil {
		return s.dir.failure(err)
	}
	if err := s.closer.take(ctx, seg); err != nil {
		return err
	}
	st.segment, st.lost = nil, 0
	return nil
}

// end ends the current segment, unless it is empty and begins where the
// acquisition ends. The first one was made by Begin, so there is at least that, but
// for a recording that was resumed, of which segments are there already.
func (s *sink) end(ctx context.Context, st *stream, until uint64) error {
	st.ended = true
	if st.Told > 0 && st.segment != nil && st.segment.artifact.Tags == 0 { // made by Begin, too
		if err := st.segment.abandon(); err != nil {
			return s.dir.failure(err)
		}
		st.segment = nil
	}
	if st.segment == nil && st.lost == 0 && st.start >= until {
		return nil
	}
	return s.endSegment(ctx, st)
}

// Finish makes everything durable. A stream without an End keeps what it has.
func (s *sink) Finish(ctx context.Context) error {
	if s.closer == nil {
		return errors.New("finish: nothing was begun")
	}
	for _, st := range s.streams {
		if st.ended {
			continue
		}
		st.ended = true
		if st.segment == nil && st.lost == 0 {
			continue
		}
		if err := s.endSegment(ctx, st); err != nil {
			return err
		}
	}
	return s.closer.finish(ctx)
}

// Close lets go of what was not finished; it stays under its name of something
// partial. Segments that were full are still published.
func (s *sink) Close() error {
	var errs []error
	for _, st := range s.streams {
		if st.segment != nil {
			errs = append(errs, st.segment.abandon())
			st.segment = nil
		}
	}
	if s.closer != nil {
		// What went wrong in the closer was told by Write or Finish.
		s.closer.stop()
		s.beside.stop()
		errs = append(errs, s.dir.Close())
		s.closer = nil
	}
	return errors.Join(errs...)
}
