package master

import (
	"fmt"
	"math"
	"path"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/confine"
	"tsrun/pipeline/event"
	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
)

// What a node may send is bounded by what could be recorded at the very most. The
// bounds are far beyond what honest nodes reach: they are there for others.
const (
	usualMaxRate = 1e9 // tags per second of a device that does not say what it can
	mostMaxRate  = 1e10
	beyondRate   = 4  // times the greatest rate, for devices that record more than they say
	mostTagBytes = 32 // of a line of text: CHANNEL;PS

	fileRoom   = 1 << 30          // bytes of files of each sink beside those of tags
	moreFiles  = 10_000           // of a sink that does not say how it names them
	overlong   = 1.01             // of a record whose device's clock is another
	lateEnd    = 11 * time.Second // an sdk.Stream takes no tag that is later
	spareParts = 2                // segments
)

// planOf is what a node may send by the recipe. Names are how each sink of the recipe
// names its files.
func planOf(r *recipe.Recipe, n recipe.Node, names [][]string) (p transfer.Plan) {
	for i, s := range r.Sinks {
		place := transfer.Place{Folder: path.Join(run.RawDir, n.Name), Names: names[i]}
		if len(r.Sinks) > 1 {
			place.Folder = path.Join(place.Folder, s.Name)
		}
		for _, channel := range n.Channels {
			if (s.At == "source" || s.At == n.Name) && s.Keeps(n.Name+"."+channel.Name) {
				place.Channels = append(place.Channels, channel.Name)
			}
		}
		if len(place.Channels) == 0 {
			continue
		}
		place.Segments = int64(recordedAtMost(r)/r.Acquire.Segment.Duration()) + spareParts
		place.Files = int(min(place.Segments*int64(len(place.Channels)), math.MaxInt32))
		if len(place.Names) == 0 {
			place.Files += moreFiles
		}
		p.Places = append(p.Places, place)
		for shot := 2; shot <= r.Acquire.Shots(); shot++ {
			next := place
			next.Folder = path.Join(place.Folder, run.ShotDir(shot))
			p.Places = append(p.Places, next)
		}
		for part := 1; r.Faults.LostNode == "restart" && part <= run.MaxRestarts; part++ {
			again := place
			again.Folder = path.Join(place.Folder, run.PartDir(part))
			p.Places = append(p.Places, again)
		}
	}
	if r.Clock.Source != "none" && n.Host != "local" && len(n.Channels) > 0 {
		p.Places = append(p.Places, transfer.Place{Folder: path.Join(run.RawDir, n.Name, clock.RecordDir), Names: []string{clock.RecordFile},
			Channels: []string{n.Channels[0].Name}, Files: 1})
	}
	return p
}

// recordedAtMost is how long the record of a channel may be.
func recordedAtMost(r *recipe.Recipe) time.Duration {
	return time.Duration(overlong*float64(r.Acquire.Duration.Duration())) + lateEnd
}

// planFiles plans what each node may send. A plugin that is not on this PC has not
// said how it names its files.
func (b *book) planFiles(plugins []string) {
	var names [][]string
	for _, s := range b.recipe.Sinks {
		names = append(names, host.FilesOf(plugins, s.Sink))
	}
	for _, n := range b.recipe.Nodes {
		p := planOf(b.recipe, n, names)
		p.Bytes = b.bytesOf(n.Name)
		b.plans[n.Name], b.budgets[n.Name] = p, transfer.NewBudget(p)
		b.spent[n.Name] = spending{most: allowanceOf(b.recipe, n, p)}
	}
}

// bytesOf is how many bytes the files of a node may have together: what its devices
// could record in the time, as the longest of formats, in the files of each sink.
func (b *book) bytesOf(node string) int64 {
	rate := 0.0
	for _, c := range b.manifest.Nodes[node].Controllers {
		says := float64(c.Device.MaxRateHz)
		if says <= 0 {
			says = usualMaxRate
		}
		rate += min(says, mostMaxRate)
	}
	each := beyondRate*rate*recordedAtMost(b.recipe).Seconds()*float64(b.recipe.Acquire.Shots())*mostTagBytes + fileRoom
	return int64(min(each*float64(len(b.recipe.Sinks)), 1<<62))
}

// boundFiles bounds the files of a node by what its devices can, as soon as they have
// said that.
func (b *book) boundFiles(node string) (bytes int64) {
	p := b.plans[node]
	p.Bytes = b.bytesOf(node)
	b.plans[node] = p
	b.budgets[node].Bound(p.Bytes)
	return p.Bytes
}

// unplanned says why a file that a node announces is not in its plan, and otherwise
// takes it from the plan. One that is known already is in it.
func (b *book) unplanned(node string, s *wire.Segment) error {
	if _, known := b.segments[s.File]; known {
		return nil
	}
	return b.budgets[node].Take(s.File, s.Size)
}

// dropUnplanned takes out of a piece of news a file that is not in the plan: it enters
// neither journal nor manifest. The user is told of the first of a node.
func (c *conductor) dropUnplanned(node string, n *wire.News) {
	if n.Segment == nil {
		return
	}
	why := c.book.unplanned(node, n.Segment)
	if why == nil {
		return
	}
	if first := c.book.beyond[node] == 0; first {
		message := fmt.Sprintf("it announced the file %.200q, which is not in the plan of this run: %v", n.Segment.File, why)
		c.notice(run.Reason{Condition: run.Incomplete, Node: node, Message: message})
		c.observe(event.Warning{Node: node, Message: message, Hint: "such files are not taken, and stay on that PC; the rest of the run goes on"})
	}
	c.book.beyond[node]++
	n.Segment = nil
}

// admitFiles lets a session send what is in the plan of its node.
func (c *conductor) admitFiles(name string, token [16]byte) {
	c.receiver.Admit(transfer.Admission{Token: token, Node: name, Certified: c.certifiedAs(name), Dir: c.dir.Path(), Plan: c.book.plans[name],
		Confined: func(o confine.Outcome) { c.queueEvent(receiverConfined{name, o}) }})
}

// receiverConfined says whether what writes the files of a node can write nowhere else.
type receiverConfined struct {
	node    string
	outcome confine.Outcome
}
