package run

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/text"
)

// MaxRestarts is how often the controllers of a node are started anew at most.
const MaxRestarts = 32

// PartDir is the directory of the files of a part of a record, below that of the first;
// "" for part 0, the first.
func PartDir(part int) string {
	if part == 0 {
		return ""
	}
	return fmt.Sprintf("again-%d", part)
}

// ShotDir is the directory of the files of a shot, below that of the first; "" for
// the first.
func ShotDir(number int) string {
	if number <= 1 {
		return ""
	}
	return fmt.Sprintf("shot-%d", number)
}

// Restart is a start of a node's controllers within the run, and when each began.
type Restart struct {
	fact.Restart
	Shots map[string]fact.Shot `json:"shots"` // by controller
}

// Begin notes that the controllers of the node are started anew. What is there is not
// changed: a manifest that is being written may share it.
func (n *Node) Begin(r fact.Restart) {
	if len(n.Restarts) < MaxRestarts {
		n.Restarts = append(slices.Clone(n.Restarts), Restart{Restart: r, Shots: map[string]fact.Shot{}})
	}
	for _, c := range n.Channels {
		c.Sent, c.SentLost = nil, nil // of the part before; those of the last are of all
	}
}

// Shoot notes when a controller began after the last restart; false: there was none.
func (n *Node) Shoot(controller string, s fact.Shot) bool {
	if len(n.Restarts) == 0 {
		return false
	}
	n.Restarts = slices.Clone(n.Restarts)
	last := &n.Restarts[len(n.Restarts)-1]
	last.Shots = maps.Clone(last.Shots)
	last.Shots[controller] = s
	return true
}

// judgeRestarts notes parts of a record that began later than their place on the time
// of the run says.
func (j *judgement) judgeRestarts(node *Node, name string) {
	for _, r := range node.Restarts {
		for _, key := range slices.Sorted(maps.Keys(r.Shots)) {
			if s := r.Shots[key]; s.Late {
				j.add(Reason{Condition: Tainted, Node: name, AtPs: &r.At,
					Message: fmt.Sprintf("controller %q was started anew %v after the instant by which its tags are placed", key, time.Duration(s.Called-s.Asked).Round(time.Microsecond))})
			}
		}
	}
}

// judgeHoles gives a reason for each time in which a channel was not recorded.
func (j *judgement) judgeHoles(node, name string, c *Channel) {
	for _, l := range c.Losses {
		if l.LengthPs > 0 {
			j.add(Reason{Condition: Incomplete, Node: node, Channel: name, AtPs: &l.AtPs,
				Message: fmt.Sprintf("nothing is recorded from %s on for %s: %s", text.Seconds(l.AtPs), text.Seconds(l.LengthPs), l.Why)})
		}
	}
}

// Stretch is a time of the run, in ps.
type Stretch struct{ From, To uint64 }

// Unbroken is the longest time of the run in which the controllers of no node were
// started anew: through a restart nobody knows a clock. parts says which part of the
// record of each such node that is; nil where there was no restart.
func (m *Manifest) Unbroken() (longest Stretch, parts map[string]int) {
	var broken []Stretch
	for _, n := range m.Nodes {
		for _, r := range n.Restarts {
			broken = append(broken, Stretch{r.From, max(r.From, r.At)})
		}
	}
	if len(broken) == 0 {
		return Stretch{0, m.DurationPs}, nil
	}
	slices.SortFunc(broken, func(a, b Stretch) int { return cmp.Compare(a.From, b.From) })
	at := uint64(0)
	for _, b := range append(broken, Stretch{m.DurationPs, m.DurationPs}) {
		if to := min(b.From, m.DurationPs); to > at && to-at > longest.To-longest.From {
			longest = Stretch{at, to}
		}
		at = max(at, b.To)
	}
	parts = map[string]int{}
	for name, n := range m.Nodes {
		if len(n.Restarts) > 0 {
			before := slices.IndexFunc(n.Restarts, func(r Restart) bool { return r.At > longest.From })
			parts[name] = before
			if before < 0 {
				parts[name] = len(n.Restarts)
			}
		}
	}
	return longest, parts
}
