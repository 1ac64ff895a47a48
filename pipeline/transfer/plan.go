package transfer

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Plan is what a node may send by the recipe, whatever it announces.
type Plan struct {
	Places []Place
	Bytes  int64 // of all its files together
}

// Place is a folder for files of one sink.
type Place struct {
	Folder   string   // with slashes: "raw/alice" or "raw/alice/SINK"
	Names    []string // of its files, see [sdk.SinkType.Naming]; none: any
	Channels []string // that the sink is given
	Segments int64    // of each channel, numbered from 0
	Files    int      // at most
}

// Budget is a Plan and how much of it is used. The caller has a lock.
type Budget struct {
	plan  Plan
	bytes int64          // announced
	files map[string]int // by folder
}

// NewBudget returns the budget of a plan of which nothing is used.
func NewBudget(p Plan) *Budget { return &Budget{plan: p, files: map[string]int{}} }

// Bound changes how many bytes all files may have together.
func (b *Budget) Bound(bytes int64) { b.plan.Bytes = bytes }

// Bytes is how many bytes all files may have together.
func (b *Budget) Bytes() int64 { return b.plan.Bytes }

// Take takes a file from the budget. The error says why it is not in the plan; then
// nothing is taken.
func (b *Budget) Take(name string, size int64) error {
	place, err := b.plan.place(name)
	switch {
	case err != nil:
		return err
	case size < 0 || size > maxSize:
		return fmt.Errorf("size of %d bytes", size)
	case size > b.plan.Bytes-b.bytes:
		return fmt.Errorf("it has %d bytes, the files announced before have %d, and by the recipe and the devices all have at most %d: duration and greatest rate allow no more",
			size, b.bytes, b.plan.Bytes)
	case b.files[place.Folder] >= place.Files:
		return fmt.Errorf("%d files were announced for %s, and the recipe plans no more; acquire.segment may be too short", b.files[place.Folder], place.Folder)
	}
	b.bytes += size
	b.files[place.Folder]++
	return nil
}

// Give gives back what Take has taken.
func (b *Budget) Give(name string, size int64) {
	if place, err := b.plan.place(name); err == nil {
		b.bytes -= size
		b.files[place.Folder]--
	}
}

// place is where the plan has a file.
func (p Plan) place(name string) (*Place, error) {
	why := checkName(name)
	if why != nil {
		return nil, why
	}
	for i := range p.Places {
		below, ok := strings.CutPrefix(name, p.Places[i].Folder+"/")
		if !ok {
			continue
		}
		if why = p.Places[i].check(below); why == nil {
			return &p.Places[i], nil
		}
	}
	if why == nil {
		why = fmt.Errorf("by the recipe nothing of this node belongs into %.200s", path.Dir(name))
	}
	return nil, why
}

const (
	channelMark = "{channel}"
	segmentMark = "{segment}"
	digits      = 6 // of the number of a segment, at least
)

// check checks the path of a file below the folder.
func (p *Place) check(below string) error {
	if len(p.Names) == 0 {
		return nil
	}
	for _, pattern := range p.Names {
		for _, channel := range p.Channels {
			before, after, numbered := strings.Cut(strings.ReplaceAll(pattern, channelMark, channel), segmentMark)
			if !numbered && below == before {
				return nil
			}
			rest, begins := strings.CutPrefix(below, before)
			number, ends := strings.CutSuffix(rest, after)
			if !numbered || !begins || !ends || len(number) < digits {
				continue
			}
			n, err := strconv.ParseUint(number, 10, 63)
			if err != nil || fmt.Sprintf("%0*d", digits, n) != number {
				continue
			}
			if n >= uint64(p.Segments) {
				return fmt.Errorf("it is segment %d of %s, and by acquire.duration and acquire.segment there are at most %d", n, channel, p.Segments)
			}
			return nil
		}
	}
	return fmt.Errorf("the sink that writes into %s makes no file of this name; it makes %.500s, of the channels %.500s",
		p.Folder, strings.Join(p.Names, ", "), strings.Join(p.Channels, ", "))
}
