package track

import "fmt"

const mostAhead = 1 << 24 // tags that one record may be ahead of the other

// tail is the end of a record that grows: what is still needed of it.
type tail struct {
	name  string
	tags  []uint64
	done  int    // tags that are not needed any more
	first uint64 // tag of the record
	last  uint64
	began bool
}

// take appends the next tags.
func (t *tail) take(tags []uint64) error {
	if len(tags) == 0 {
		return nil
	}
	if !t.began {
		t.first, t.last, t.began = tags[0], tags[0], true
	}
	for i, v := range tags {
		if int64(v-t.last) < 0 {
			return fmt.Errorf("tag %d of a portion of %s, at %d ps, comes after one at %d ps; give tags in order of time", i, t.name, v, t.last)
		}
		t.last = v
	}
	if t.done > len(t.tags)/2 {
		t.tags = t.tags[:copy(t.tags, t.tags[t.done:])]
		t.done = 0
	}
	if len(t.tags)-t.done+len(tags) > mostAhead {
		return fmt.Errorf("%s is more than %d tags ahead of the other record; give both records' tags of the same time", t.name, mostAhead)
	}
	t.tags = append(t.tags, tags...)
	return nil
}

// kept returns the tags that are still needed.
func (t *tail) kept() []uint64 { return t.tags[t.done:] }

// drop forgets tags before a time.
func (t *tail) drop(before uint64) { t.done += search(t.kept(), before) }
