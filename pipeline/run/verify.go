package run

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
	"tsrun/sdk/tagfile/pack"
)

// Finding is one thing in a run directory that is not as its manifest says.
type Finding struct {
	File    string `json:"file"` // relative to the run directory
	Code    string `json:"code"` // missing, unreadable, size, hash, tags, order, extra, path, sums, unfinished, manifest, contradiction
	Message string `json:"message"`
}

// Verification is what [Verify] looked at and found.
type Verification struct {
	Run      string    `json:"run"` // identifier, "" when the manifest cannot be read
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
	Tags     uint64    `json:"tags"`
	Notes    []string  `json:"notes,omitempty"`  // files below notes/, which are the user's and are not looked at
	Beside   []string  `json:"beside,omitempty"` // other files that are none of the run and are not looked at
	Findings []Finding `json:"findings"`         // none: everything is as it was recorded
}

// Verify proves a run directory again: every file the manifest or SHA256SUMS
// names is there with its size and hash, every segment holds the tags it should
// in order of time, the segments of a channel follow each other, what else the directory
// says of the run does not contradict its manifest, and nothing
// else lies among the raw files, the results and the recipe. The directory may come from anywhere: nothing
// outside it is opened, and whatever it holds is a finding and no error. The
// error is for a directory that cannot be read at all, or is none of a run.
func Verify(dir string) (Verification, error) {
	root, err := openRun(dir)
	if err != nil {
		return Verification{}, fmt.Errorf("verify: %w", err)
	}
	defer root.Close()
	v := &verifier{dir: dir, root: root, hashed: map[string]string{}, result: Verification{Findings: []Finding{}},
		hasher: newHasher(), tags: make([]uint64, pack.MaxTags)}
	m, err := readManifest(root)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !remainsOfRun(root):
		return Verification{}, NoRun(dir)
	case lackOf(err) == "unreadable": // whether it is as it was is not known
		return Verification{}, fmt.Errorf("verify %s: %w", dir, err)
	}
	if err != nil {
		v.found(ManifestFile, "manifest", "it cannot be read: %v", withoutPath(err))
		return v.result, nil
	}
	v.result.Run = m.Run
	if m.Ended.IsZero() {
		v.found(ManifestFile, "unfinished", "the run has not ended: tsrun is still at work, or was killed, and tsrun resume finishes it")
	}
	v.segments(m)
	v.beside(v.sums(m))
	v.extras(m)
	v.contradicted(m)
	v.notes()
	slices.SortStableFunc(v.result.Findings, func(a, b Finding) int { return cmp.Compare(a.File, b.File) })
	return v.result, nil
}

// remainsOfRun says whether a directory without a manifest was once a run's.
func remainsOfRun(root *os.Root) bool {
	for _, name := range []string{SumsFile, RawDir, LogFile} {
		if _, err := root.Lstat(name); err == nil {
			return true
		}
	}
	return false
}

type verifier struct {
	dir    string
	root   *os.Root
	hashed map[string]string // file: its SHA-256, of those that were read
	result Verification
	// Of all files, one after another:
	hasher *hasher
	tags   []uint64 // room for a block
}

func (v *verifier) found(file, code, format string, args ...any) {
	v.result.Findings = append(v.result.Findings, Finding{File: file, Code: code, Message: fmt.Sprintf(format, args...)})
}

// series names the segments of one channel that one sink wrote.
type series struct{ node, channel, sink string }

func (v *verifier) segments(m *Manifest) {
	tracks := map[series][]Segment{}
	held := newHoldings()
	seen := map[string]bool{}
	for _, s := range m.Segments {
		switch {
		case !s.InRaw():
			v.found(s.File, "path", "the manifest names a segment of node %q that is not below %s/%s/", s.Node, RawDir, s.Node)
			continue
		case seen[s.File]:
			v.found(s.File, "manifest", "the manifest lists this segment twice")
			continue
		}
		seen[s.File] = true
		held.add(&s)
		if s.HoldsTags() {
			t := series{s.Node, s.Channel, s.Sink}
			tracks[t] = append(tracks[t], s)
		}
		v.segment(s)
	}
	for t, list := range tracks {
		v.track(t, list, m.Nodes[t.node] != nil && len(m.Nodes[t.node].Takes) > 0)
	}
	v.totals(m, held)
}

// InRaw says whether a segment is where its node's files belong.
func (s *Segment) InRaw() bool {
	return fs.ValidPath(s.File) && !strings.Contains(s.Node, "/") && s.Node != "" &&
		strings.HasPrefix(s.File, RawDir+"/"+s.Node+"/")
}

// segment proves one file: there, of that size and hash, with those tags if it
// is of tags.
func (v *verifier) segment(s Segment) {
	var c counted
	var counting error
	hashed, err := v.hash(s.File)
	holds := s.HoldsTags() && written(s)
	if err == nil && holds {
		c, counting = countTags(filepath.Join(v.dir, filepath.FromSlash(s.File)), s.Format, v.tags)
	}
	var sum string
	var size int64
	if err == nil {
		sum, size, err = hashed()
	}
	if err != nil {
		what := "was recorded but never arrived"
		if s.Verified {
			what = "was here and proven when the run ended"
		}
		v.found(s.File, lackOf(err), "%s; now: %v", what, withoutPath(err))
		return
	}
	v.hashed[s.File] = sum
	v.result.Files++
	v.result.Bytes += size
	if size != s.Size {
		v.found(s.File, "size", "%s, the manifest says %d", quantity.Counted(size, "byte"), s.Size)
	}
	if sum != s.SHA256 {
		v.found(s.File, "hash", "SHA-256 is %s, the manifest says %s", sum, s.SHA256)
	}
	if !s.HoldsTags() {
		return
	}
	if !holds {
		v.found(s.File, "manifest", "not in a format of segments: %s", strings.Join(tagfile.Streamed(), ", "))
		return
	}
	v.result.Tags += c.tags
	switch {
	case counting != nil:
		v.found(s.File, "order", "%v", counting)
	case c != counted{s.Tags, s.FirstPs, s.LastPs}:
		v.found(s.File, "tags", "holds %s from %d ps to %d ps, the manifest says %d from %d ps to %d ps",
			quantity.Counted(c.tags, "tag"), c.first, c.last, s.Tags, s.FirstPs, s.LastPs)
	}
}

// longFile is how many bytes a file has at least that is hashed beside other work.
const longFile = 1 << 20

// hash hashes a file, a long one in a goroutine of its own, which has ended when
// the hash has been asked for. The error is of what is no regular file.
func (v *verifier) hash(name string) (hashed func() (sum string, size int64, err error), err error) {
	file, info, err := openRegular(v.root, name)
	if err != nil {
		return nil, err
	}
	var sum string
	var size int64
	var failed error
	work := func() {
		sum, size, failed = v.hasher.opened(file, name)
	}
	var working sync.WaitGroup
	if info.Size() < longFile {
		work()
	} else {
		working.Go(work)
	}
	return func() (string, int64, error) {
		working.Wait()
		return sum, size, failed
	}, nil
}

// written says whether a segment is in a format that sinks write and that can
// be read piece by piece.
func written(s Segment) bool {
	format := cmp.Or(s.Format, strings.TrimPrefix(path.Ext(s.File), "."))
	return slices.Contains(tagfile.Streamed(), format)
}

// track proves that the segments of one channel are all there and follow each other;
// those of several shots have times of their own.
func (v *verifier) track(t series, list []Segment, shots bool) {
	slices.SortStableFunc(list, func(a, b Segment) int { return cmp.Compare(a.Index, b.Index) })
	var last uint64
	for i, s := range list {
		if s.Index != i {
			v.found(s.File, "missing", "segment %d of %s.%s is where number %d is due", s.Index, t.node, t.channel, i)
			return
		}
		if s.Tags > 0 {
			if s.FirstPs < last && (!shots || i == 0 || s.Part == list[i-1].Part) {
				v.found(s.File, "order", "begins at %d ps, before the end of the segment before it at %d ps", s.FirstPs, last)
			}
			last = s.LastPs
		}
	}
}

// totals proves that each sink has kept what its channels delivered.
func (v *verifier) totals(m *Manifest, held *holdings) {
	for _, node := range slices.Sorted(maps.Keys(m.Nodes)) {
		n := m.Nodes[node]
		for _, name := range slices.Sorted(maps.Keys(n.Sinks)) {
			for _, channel := range n.Sinks[name].Channels {
				c := n.Channels[channel]
				if c == nil {
					v.found(ManifestFile, "manifest", "sink %q of %s keeps %q, which is no channel", name, node, channel)
					continue
				}
				if missing := held.missing(node, channel, name, n.Sinks[name], c.Tags); missing != "" {
					v.found(RawDir+"/"+node, "tags", "%s.%s delivered %s, %s", node, channel, quantity.Counted(c.Tags, "tag"), missing)
				}
			}
		}
	}
}

// sums proves every file SHA256SUMS names, and that it names those it should. It
// returns what it names, nil where that is not known.
func (v *verifier) sums(m *Manifest) map[string]string {
	sums, err := readSums(v.root)
	if err != nil {
		code := "sums"
		if lackOf(err) == "unreadable" {
			code = "unreadable"
		}
		v.found(SumsFile, code, "%v", withoutPath(err))
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if strings.HasPrefix(name, NotesDir+"/") {
			continue // the user's
		}
		if !fs.ValidPath(name) {
			v.found(SumsFile, "path", "names %q, which is not a file below the run directory", name)
			continue
		}
		sum, ok := v.hashed[name]
		if !ok {
			var size int64
			if sum, size, err = v.hasher.file(v.root, name); err != nil {
				v.found(name, lackOf(err), "%s names it; %v", SumsFile, withoutPath(err))
				continue
			}
			v.result.Files++
			v.result.Bytes += size
		}
		if sum != sums[name] {
			v.found(name, "hash", "SHA-256 is %s, %s says %s", sum, SumsFile, sums[name])
		}
	}
	for _, name := range namedFiles(m) {
		if _, ok := sums[name]; !ok {
			v.found(name, "sums", "%s does not name it", SumsFile)
		}
	}
	for _, s := range m.ResultSinks {
		for _, f := range s.Files {
			if sum, ok := sums[f.File]; ok && sum != f.SHA256 {
				v.found(f.File, "hash", "%s says %s, the manifest says %s", SumsFile, sum, f.SHA256)
			}
		}
	}
	return sums
}

// namedFiles are the files a finished run's manifest stands on.
func namedFiles(m *Manifest) []string {
	names := []string{ManifestFile}
	for _, s := range m.Segments {
		if s.Verified {
			names = append(names, s.File)
		}
	}
	for _, f := range m.Recipe.Files {
		names = append(names, f.File)
	}
	for _, name := range []string{m.Recipe.Resolved, m.Recipe.Repeats} {
		if name != "" {
			names = append(names, name)
		}
	}
	for _, r := range m.Results {
		names = append(names, r.Files...)
	}
	for _, s := range m.ResultSinks {
		for _, f := range s.Files {
			names = append(names, f.File)
		}
	}
	if m.Sync != "" {
		names = append(names, m.Sync)
	}
	return names
}

// withoutPath drops what a finding says anyway.
func withoutPath(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}
