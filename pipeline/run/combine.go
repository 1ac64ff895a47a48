package run

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tsrun/pipeline/recipe"
)

// Part is a local part that a run directory was made of.
type Part struct {
	Node      string   `json:"node"`
	Run       string   `json:"run"`       // 32 hexadecimal digits
	Directory string   `json:"directory"` // its name where it was recorded
	InstantNs int64    `json:"instant_ns"`
	Received  bool     `json:"received"` // its node has sent it; false: it was here
	Clock     OwnClock `json:"clock"`
}

func (p Part) words() string {
	return fmt.Sprintf("recorded without a master, started at %s by its own clock", time.Unix(0, p.InstantNs).UTC().Format(time.RFC3339Nano))
}

// Recording is the directory of a local part.
type Recording struct {
	Path     string
	Manifest *Manifest
	Received bool
}

// begins and ends are the time of a recording by its own PC's clock, in ns since 1970.
func (r Recording) begins() int64 {
	if n := r.Manifest.Nodes[r.Manifest.Local.Node]; n != nil && n.Start != nil {
		return n.Start.EstimateNs
	}
	return r.Manifest.Trigger.InstantNs
}

func (r Recording) ends() int64 {
	var longest uint64 // ps
	if n := r.Manifest.Nodes[r.Manifest.Local.Node]; n != nil {
		for _, c := range n.Channels {
			longest = max(longest, c.LengthPs)
		}
	}
	const ns = 1000 // ps
	return r.begins() + int64(min(longest/ns, 1<<62))
}

// Overlapping groups the local parts in a directory of runs that were recorded with
// one recipe, one of each node, where all of a group recorded at one time. Those of a
// group that was made before are left out. What goes to whom is decided by the longest
// overlap, then by time.
func Overlapping(root string, marks map[string]string, order []string) (groups [][]Recording) {
	parts := map[string][]Recording{} // by node
	made := map[string]bool{}
	for path, m := range recordings(root) {
		for _, p := range m.Parts {
			made[p.Run] = true
		}
		if m.Local != nil && !m.Ended.IsZero() && m.Recorded() && len(recipe.UnlikeMarks(m.Local.Marks, marks)) == 0 {
			parts[m.Local.Node] = append(parts[m.Local.Node], Recording{path, m, exists(filepath.Join(path, ReceivedFile))})
		}
	}
	for node := range parts {
		parts[node] = slices.DeleteFunc(parts[node], func(r Recording) bool { return made[r.Manifest.Run] || !exists(filepath.Join(r.Path, RawDir)) })
	}
	for len(parts) > 0 {
		group := longest(parts, order)
		if len(group) < 2 {
			return groups
		}
		groups = append(groups, group)
		for _, r := range group {
			node := r.Manifest.Local.Node
			parts[node] = slices.DeleteFunc(parts[node], func(o Recording) bool { return o.Path == r.Path })
		}
	}
	return groups
}

// longest returns the two recordings that overlap for the longest time, with those of
// other nodes that overlap with both.
func longest(parts map[string][]Recording, order []string) (group []Recording) {
	var from, to int64
	for i, a := range order {
		for _, b := range order[i+1:] {
			for _, x := range parts[a] {
				for _, y := range parts[b] {
					if f, t := max(x.begins(), y.begins()), min(x.ends(), y.ends()); t > f && t-f > to-from {
						group, from, to = []Recording{x, y}, f, t
					}
				}
			}
		}
	}
	if group == nil {
		return nil
	}
	for _, node := range order {
		if slices.ContainsFunc(group, func(r Recording) bool { return r.Manifest.Local.Node == node }) {
			continue
		}
		best := -1
		var bestFrom, bestTo int64
		for i, r := range parts[node] {
			if f, t := max(from, r.begins()), min(to, r.ends()); t > f && t-f > bestTo-bestFrom {
				best, bestFrom, bestTo = i, f, t
			}
		}
		if best >= 0 {
			group, from, to = append(group, parts[node][best]), bestFrom, bestTo
		}
	}
	return group
}

// CombinedFrom is what a combined run directory is made with.
type CombinedFrom struct {
	ID      string // of the run
	Version string
	Recipe  *recipe.Recipe // the whole
	Sources []RecipeSource
	YAML    []byte
	Sets    []string
}

// Combine makes one run directory below root of the local parts of several nodes. Their
// files are linked where the file system can, so that they take no second room. The
// parts stay as they are.
func Combine(root string, group []Recording, f CombinedFrom) (path string, err error) {
	first := slices.MinFunc(group, func(a, b Recording) int { return a.Manifest.Started.Compare(b.Manifest.Started) })
	building := filepath.Join(root, ".combining-"+f.ID)
	d, err := Create(building, f.Recipe.Name, first.Manifest.Started)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(building)
	m := combined(group, f)
	for _, r := range group {
		if err = linkFiles(r, d.path); err != nil {
			break
		}
	}
	if err == nil {
		m.Recipe, err = d.KeepRecipe(f.Sources, f.Recipe, f.YAML, f.Sets)
	}
	if err == nil {
		err = d.Seal(m)
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return "", fmt.Errorf("combine recordings: %w", err)
	}
	path = filepath.Join(root, filepath.Base(d.path))
	for n := 2; exists(path); n++ {
		path = filepath.Join(root, fmt.Sprintf("%s-%d", filepath.Base(d.path), n))
	}
	if err := os.Rename(d.path, path); err != nil {
		return "", fmt.Errorf("combine recordings: %w", err)
	}
	return path, SyncDir(root)
}

// combined is the manifest of several local parts.
func combined(group []Recording, f CombinedFrom) *Manifest {
	m := NewManifest(f.ID, f.Version, f.Recipe, group[0].Manifest.Started)
	maps.DeleteFunc(m.Nodes, func(string, *Node) bool { return true })
	m.Trigger.ClockSource, m.Trigger.InstantNs, m.Insecure = "none", 0, false
	for _, r := range group {
		p := r.Manifest
		node := p.Local.Node
		m.Nodes[node] = p.Nodes[node]
		m.Nodes[node].Host, m.Nodes[node].Clock, m.Nodes[node].Transfer, m.Nodes[node].Receiver = "remote", nil, nil, nil
		m.Segments = append(m.Segments, slices.DeleteFunc(slices.Clone(p.Segments), func(s Segment) bool { return s.Node != node })...)
		m.Parts = append(m.Parts, Part{Node: node, Run: p.Run, Directory: filepath.Base(r.Path), InstantNs: p.Trigger.InstantNs, Received: r.Received, Clock: p.Local.Clock})
		m.DurationPs = max(m.DurationPs, p.DurationPs)
		if p.Started.Before(m.Started) {
			m.Started = p.Started
		}
		if p.Ended.After(m.Ended) {
			m.Ended = p.Ended
		}
		if at := p.Trigger.InstantNs; m.Trigger.InstantNs == 0 || at < m.Trigger.InstantNs {
			m.Trigger.InstantNs = at
		}
		for _, reason := range p.Reasons {
			if reason.Condition != Local && reason.Condition != Simulated {
				m.Notice(reason)
			}
		}
	}
	slices.SortFunc(m.Parts, func(a, b Part) int { return cmp.Compare(a.Node, b.Node) })
	m.Trigger.Skew = m.Skews()
	return m
}

// linkFiles gives a run directory the files of a part.
func linkFiles(r Recording, to string) error {
	for _, s := range r.Manifest.Segments {
		if !s.InRaw() || s.Node != r.Manifest.Local.Node || !s.Verified {
			continue
		}
		name := filepath.FromSlash(s.File)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o777); err != nil {
			return err
		}
		if err := linkFile(r.Path, name, filepath.Join(to, name), s); err != nil {
			return err
		}
	}
	return nil
}

// linkFile links a file, or copies it where that cannot be done, and proves it.
func linkFile(dir, name, to string, s Segment) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	sum, size, err := newHasher().file(root, filepath.ToSlash(name))
	if err != nil {
		return err
	}
	if sum != s.SHA256 || size != s.Size {
		return fmt.Errorf("%s: SHA-256 is %s, its manifest says %s", filepath.Join(dir, name), sum, s.SHA256)
	}
	if os.Link(filepath.Join(dir, name), to) == nil {
		return nil
	}
	from, err := root.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	return Atomically(to, func(w io.Writer) error { _, err := io.Copy(w, from); return err })
}
