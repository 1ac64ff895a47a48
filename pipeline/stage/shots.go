package stage

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"tsrun/pipeline/align"
	"tsrun/pipeline/run"
	"tsrun/sdk/tagfile"
)

// placed reads the files of a channel, each shot at its place in the run: in its
// files each counts from its own start.
type placed struct {
	shots   []shotFiles // not opened yet
	current tagfile.ReadCloser
	at      uint64
	last    uint64
	number  int
}

// shotFiles are the files of one shot; of a run that takes one they are all.
type shotFiles struct {
	number int
	at     uint64 // ps of the run
	files  []tagfile.Segment
	format string
}

// shotsOf sorts the segments of a channel by shot.
func (a *analysis) shotsOf(node string, segments []run.Segment) (shots []shotFiles) {
	n := a.manifest.Nodes[node]
	for i, s := range segments {
		if i == 0 || len(n.Takes) > 0 && s.Part != segments[i-1].Part {
			shots = append(shots, shotFiles{number: s.Part + 1, at: n.ShotAt(s.Part), format: s.Format})
		}
		last := &shots[len(shots)-1]
		last.files = append(last.files, fileOf(a.dir, s))
	}
	return shots
}

// OpenPlaced opens one segment of a run directory, whose shot begins at a time of the run,
// in ps.
func OpenPlaced(dir string, s run.Segment, at uint64) tagfile.ReadCloser {
	return &placed{shots: []shotFiles{{number: s.Part + 1, at: at, files: []tagfile.Segment{fileOf(dir, s)}, format: s.Format}}}
}

// fileOf is a segment as a file, and what the manifest says that it holds.
func fileOf(dir string, s run.Segment) tagfile.Segment {
	return tagfile.Segment{Path: filepath.Join(dir, filepath.FromSlash(s.File)), Tags: s.Tags, First: s.FirstPs, Last: s.LastPs}
}

func (p *placed) Next(buf []uint64) (int, error) {
	for {
		if p.current == nil {
			if len(p.shots) == 0 {
				return 0, io.EOF
			}
			p.open()
		}
		n, err := p.current.Next(buf)
		for i := range buf[:n] {
			if buf[i]+p.at < buf[i] {
				return 0, fmt.Errorf("shot %d: its tag at %d ps lies beyond the end of time", p.number, buf[i])
			}
			buf[i] += p.at
		}
		if n > 0 {
			if buf[0] < p.last {
				return 0, fmt.Errorf("shot %d begins at %d ps of the run, before the last tag of the shot before it at %d ps", p.number, buf[0], p.last)
			}
			p.last = buf[n-1]
		}
		if err != io.EOF {
			return n, err
		}
		if err := p.Close(); err != nil || n > 0 {
			return n, err
		}
	}
}

func (p *placed) open() {
	next := p.shots[0]
	p.shots, p.at, p.number = p.shots[1:], next.at, next.number
	p.current = tagfile.OpenSegments(next.files, next.format, tagfile.OnlyChannel)
}

func (p *placed) Close() (err error) {
	if p.current != nil {
		err, p.current = p.current.Close(), nil
	}
	return err
}

// breaksOf is where the shots of a channel begin but for the first, in ps of the run.
func (a *analysis) breaksOf(channel string) (breaks []uint64) {
	if n := a.manifest.NodeOf(channel); n != nil && len(n.Takes) > 1 {
		for _, t := range n.Takes[1:] {
			breaks = append(breaks, t.At)
		}
	}
	return breaks
}

// shots is how many shots the run has taken; 1 where it takes one.
func (a *analysis) shots() int { return max(1, len(a.manifest.Trigger.Shots)) }

// alignShots finds the clock in each shot by itself: by how much the controllers
// began at other times than in the shot before nobody knows.
func (a *analysis) alignShots(c AlignConfig) (foundClock, error) {
	var found []align.Shot
	for number := range a.shots() {
		reference, err := a.openShot(c.Reference, number)
		if err != nil {
			return foundClock{}, err
		}
		target, err := a.openShot(c.Target, number)
		if err != nil {
			return foundClock{}, errors.Join(err, reference.Close())
		}
		shot, err := align.AlignShot(a.ctx, reference, target, AlignOptions(a.manifest, c, number))
		if err = errors.Join(err, reference.Close(), target.Close()); err != nil {
			return foundClock{}, err
		}
		found = append(found, shot)
	}
	parts, err := align.JoinShots(found)
	return foundClock{Parts: parts, shots: found}, err
}

// openShot opens the files of a channel of one shot, numbered from 0.
func (a *analysis) openShot(name string, number int) (*channelStream, error) {
	stream, err := a.open(name)
	if err != nil {
		return nil, err
	}
	if all, ok := stream.ReadCloser.(*placed); ok {
		var own []shotFiles
		for _, s := range all.shots {
			if s.number == number+1 {
				own = append(own, s)
			}
		}
		all.shots = own
	}
	return stream, nil
}
