package catalogue

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tsrun/pipeline/run"
)

// facts are what a manifest says, by path: "nodes.alice.channels.signal.tags". A
// value is a text, a json.Number, a bool, or nil for null.
type facts map[string]any

// maxElements is the length from which a list is one value, told by how many it has:
// curves are compared in their tables.
const maxElements = 64

// factsOf gives the facts of a manifest. Segments are left out: there may be hundreds
// of thousands, and each is of its own run alone. Results go by the name of their stage.
func factsOf(m *run.Manifest) (facts, error) {
	short := *m
	short.Segments, short.Results = nil, nil
	all := facts{}
	if err := all.add("", short); err != nil {
		return nil, err
	}
	delete(all, "segments")
	for _, r := range m.Results {
		path := "results." + r.Stage
		summary := r.Summary
		r.Summary, r.Files = nil, nil
		if err := all.add(path, r); err != nil {
			return nil, err
		}
		delete(all, path+".files")
		if len(summary) > 0 {
			if err := all.add(path, summary); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// add enters a value, which has a JSON form, below a path.
func (f facts) add(path string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("read what the manifest says of %s: %w", path, err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var decoded any
	if err := d.Decode(&decoded); err != nil {
		return fmt.Errorf("read what the manifest says of %s: %w", path, err)
	}
	f.enter(path, decoded)
	return nil
}

func (f facts) enter(path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, element := range v {
			f.enter(join(path, key), element)
		}
	case []any:
		if len(v) > maxElements {
			raw, _ := json.Marshal(v) // it was JSON
			f[path] = fmt.Sprintf("%d values, %.4x", len(v), sha256.Sum256(raw))
			return
		}
		for i, element := range v {
			f.enter(join(path, elementName(i, element)), element)
		}
	default:
		f[path] = value
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// elementName is what an element of a list is called: by what it is of, else its place.
func elementName(place int, element any) string {
	if object, ok := element.(map[string]any); ok {
		for _, key := range []string{"name", "channel", "stage", "what"} {
			if name, ok := object[key].(string); ok && name != "" {
				return name
			}
		}
	}
	return strconv.Itoa(place)
}

// has says whether a path is one of the facts, or leads to some.
func (f facts) has(path string) bool {
	if _, ok := f[path]; ok {
		return true
	}
	for p := range f {
		if strings.HasPrefix(p, path+".") {
			return true
		}
	}
	return false
}
