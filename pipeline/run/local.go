package run

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/journal"
)

// LocalPart says that a run is the part of one node alone, recorded without the others.
type LocalPart struct {
	Node   string   `json:"node"`
	Recipe string   `json:"recipe"`  // its name
	Others []string `json:"without"` // nodes of the recipe that were not asked
	// Marks tell recordings of one recipe from those of another, by section of the
	// whole recipe; see recipe.Marks.
	Marks map[string]string `json:"marks"`
	Clock OwnClock          `json:"clock"`
}

// OwnClock is what is known of a PC's clock that nobody compared with another's: what
// the services of this PC say that keep it.
type OwnClock struct {
	Start []clock.Standing `json:"start,omitempty"` // when the node was told to start
	End   []clock.Standing `json:"end,omitempty"`   // when the record was over
	Why   string           `json:"why,omitempty"`   // why nothing is known
}

// Known returns the newest standing that may be believed; ok is false where none is.
func (c OwnClock) Known() (s clock.Standing, ok bool) {
	for _, list := range [][]clock.Standing{c.End, c.Start} {
		for _, s := range list {
			if s.Lost == "" {
				return s, true
			}
		}
	}
	return s, false
}

// words say of whom a part is.
func (l *LocalPart) words() string {
	if len(l.Others) == 0 {
		return fmt.Sprintf("recorded without a master; it is the only node of recipe %s", l.Recipe)
	}
	return fmt.Sprintf("recorded without a master; of recipe %s not here: %s", l.Recipe, strings.Join(l.Others, ", "))
}

// CollectedFile lies in the directory of a local part of which a master has proven its
// own copy.
const CollectedFile = "collected.json"

// Collected says which master has a copy of a local part.
type Collected struct {
	By string    `json:"by"` // its address, as the slave was told
	At time.Time `json:"at"`
}

// ReceivedFile lies in the directory of a local part that a master has collected.
const ReceivedFile = "received.json"

// Received says where a local part has come from.
type Received struct {
	From string    `json:"from"` // the node
	At   time.Time `json:"at"`
}

// MarkReceived notes that a directory is a copy of what a node has sent.
func MarkReceived(dir, node string) error {
	text, err := json.Marshal(Received{From: node, At: time.Now().UTC()})
	if err == nil {
		err = WriteAtomic(filepath.Join(dir, ReceivedFile), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("note where %s has come from: %w", dir, err)
	}
	return nil
}

// FindRecording returns the directory below root that has a local part, by the
// identifier of its run. received: it is a copy of what a node has sent, by itself or
// with the parts of other nodes.
func FindRecording(root, id string) (at string, received bool) {
	for path, m := range recordings(root) {
		if m.Run == id && m.Local != nil {
			at, received = path, exists(filepath.Join(path, ReceivedFile))
		} else if slices.ContainsFunc(m.Parts, func(p Part) bool { return p.Run == id && p.Received }) {
			return path, true
		}
		if received {
			return at, true
		}
	}
	return at, false
}

// Waiting is a local part of which no master has a copy.
type Waiting struct {
	Path     string // of its directory
	Manifest *Manifest
}

// WaitingIn lists the local parts of a node in a directory of runs that have ended and
// that no master has collected, the oldest first.
func WaitingIn(root, node string) (list []Waiting) {
	for path, m := range localParts(root, node) {
		if !Waits(path) || m.Ended.IsZero() || !m.Recorded() {
			continue
		}
		list = append(list, Waiting{path, m})
	}
	slices.SortFunc(list, func(a, b Waiting) int {
		return cmp.Or(a.Manifest.Started.Compare(b.Manifest.Started), cmp.Compare(a.Path, b.Path))
	})
	return list
}

// Waits reports whether no master has a copy of the local part in a directory, which is
// no such copy itself.
func Waits(dir string) bool {
	return !exists(filepath.Join(dir, CollectedFile)) && !exists(filepath.Join(dir, ReceivedFile))
}

// BrokenOff lists the directories of local parts of a node whose tsrun was killed.
func BrokenOff(root, node string) (paths []string) {
	for path, m := range localParts(root, node) {
		if m.Ended.IsZero() && !journal.Locked(filepath.Join(path, JournalFile)) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// recordings are the run directories below root of local parts, and of parts that were
// combined. What cannot be read is none.
func recordings(root string) iter.Seq2[string, *Manifest] {
	return func(yield func(string, *Manifest) bool) {
		entries, _ := os.ReadDir(root) // a directory that is not there has none
		for _, e := range entries {
			path := filepath.Join(root, e.Name())
			if !e.IsDir() || strings.HasPrefix(e.Name(), ".") { // "latest" is one of them by another name
				continue
			}
			m, err := ReadManifest(path)
			if err == nil && (m.Local != nil || len(m.Parts) > 0) && !yield(path, m) {
				return
			}
		}
	}
}

// localParts are those of a node.
func localParts(root, node string) iter.Seq2[string, *Manifest] {
	return func(yield func(string, *Manifest) bool) {
		for path, m := range recordings(root) {
			if m.Local != nil && m.Local.Node == node && !yield(path, m) {
				return
			}
		}
	}
}

// KeepCollected takes a local part out of what waits for a master. With drop the files
// are deleted, once that is on the disk.
func (w Waiting) KeepCollected(by string, drop bool) error {
	text, err := json.Marshal(Collected{By: by, At: time.Now().UTC()})
	if err == nil {
		err = WriteAtomic(filepath.Join(w.Path, CollectedFile), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("note that a master has a copy of %s: %w", w.Path, err)
	}
	if !drop {
		return nil
	}
	for _, s := range w.Manifest.Segments {
		if !s.InRaw() || !s.Verified {
			continue
		}
		if err := os.Remove(filepath.Join(w.Path, filepath.FromSlash(s.File))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete what a master has a copy of: %w", err)
		}
	}
	return nil
}

// SealedFile is a file of a run that has ended.
type SealedFile struct {
	Name   string // relative to the run directory, with slashes
	Size   int64
	SHA256 string
}

// SealedFiles lists the files that SHA256SUMS names, it and the log, by name.
func SealedFiles(dir string) (files []SealedFile, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	sums, err := readSums(root)
	if err != nil {
		return nil, err
	}
	for name, sum := range sums {
		info, err := root.Lstat(filepath.FromSlash(name))
		if err != nil {
			return nil, fmt.Errorf("%s names %s: %w", SumsFile, name, err)
		}
		files = append(files, SealedFile{name, info.Size(), sum})
	}
	for _, name := range []string{SumsFile, LogFile} {
		sum, size, err := newHasher().file(root, name)
		if err != nil {
			return nil, err
		}
		files = append(files, SealedFile{name, size, sum})
	}
	slices.SortFunc(files, func(a, b SealedFile) int { return cmp.Compare(a.Name, b.Name) })
	return files, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
