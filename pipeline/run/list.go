package run

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/text"
)

// Listed is what a list of runs says of one.
type Listed struct {
	Directory string      `json:"directory"`
	Name      string      `json:"name,omitempty"` // of the recipe
	Started   time.Time   `json:"started,omitzero"`
	Ended     time.Time   `json:"ended,omitzero"` // absent: it goes on, or its master was killed
	Condition []Condition `json:"condition"`
	Tags      uint64      `json:"tags"`
	Error     string      `json:"error,omitempty"` // why nothing else is known
}

// List lists the runs in a directory, the oldest first. What in it is no run is
// passed over.
func List(dir string) ([]Listed, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	list := []Listed{}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := os.Lstat(filepath.Join(path, ManifestFile)); !e.IsDir() || err != nil {
			continue
		}
		l := Listed{Directory: path, Condition: []Condition{}}
		if m, err := ReadManifest(path); err != nil {
			l.Error = err.Error()
		} else {
			l.Name, l.Started, l.Ended, l.Condition, l.Tags = m.Name, m.Started, m.Ended, append(l.Condition, m.Condition...), m.TagsDelivered()
		}
		list = append(list, l)
	}
	slices.SortStableFunc(list, func(a, b Listed) int { return a.Started.Compare(b.Started) })
	return list, nil
}

// TagsDelivered counts what all channels delivered.
func (m *Manifest) TagsDelivered() (sum uint64) {
	for _, n := range m.Nodes {
		for _, c := range n.Channels {
			sum += c.Tags
		}
	}
	return sum
}

// Words say how a run ended.
func (l Listed) Words() string {
	var words []string
	for _, c := range l.Condition {
		words = append(words, string(c))
	}
	switch {
	case l.Error != "":
		return text.Printable(l.Error)
	case l.Ended.IsZero():
		words = append(words, "not ended")
	}
	return text.Printable(strings.Join(words, " + "))
}

// TagsLost counts what is known to be missing of all channels.
func (m *Manifest) TagsLost() (sum uint64) {
	for _, n := range m.Nodes {
		for _, c := range n.Channels {
			sum += min(c.Lost, math.MaxUint64-sum)
		}
	}
	return sum
}
