package run

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/sdk"
	"tsrun/sdk/realtime"
)

// ManifestVersion changes when a key of a manifest goes or means something else, not when
// one is added.
const ManifestVersion = 1

// Manifest is manifest.json: everything there is to know about a run beside
// its tags. Its keys are stable; docs/run-directory.md describes each.
type Manifest struct {
	Version   int             `json:"version,omitempty"` // ManifestVersion; absent: 1
	Condition []Condition     `json:"condition"`
	Reasons   []Reason        `json:"reasons"`
	Run       string          `json:"run"`            // 32 hexadecimal digits, as on the wire
	Name      string          `json:"name"`           // of the recipe
	Meta      json.RawMessage `json:"meta,omitempty"` // as the recipe has it
	Tsrun     string          `json:"tsrun"`          // version of the master
	Recipe    RecipeRecord    `json:"recipe"`
	Started   time.Time       `json:"started,omitzero"` // UTC
	Ended     time.Time       `json:"ended,omitzero"`   // UTC; absent: the run has not ended
	// DurationPs is how long each channel was asked to record, in ps: in all shots together.
	DurationPs uint64           `json:"duration_ps,omitempty"`
	Nodes      map[string]*Node `json:"nodes"`
	Segments   []Segment        `json:"segments"`
	Trigger    Trigger          `json:"trigger"`
	// Common is the time in which every node recorded without a gap; absent where nothing was recorded.
	Common  *Common  `json:"common,omitempty"`
	Results []Result `json:"results"`
	Sync    string   `json:"sync,omitempty"` // file of what align stages knew while the run went on
	// Live says what each live sink has sent.
	Live []LiveRecord `json:"live,omitempty"`
	// ResultSinks says what each sink has made of what stages found.
	ResultSinks []ResultRecord `json:"result_sinks,omitempty"`

	// Insecure: what the PCs said to each other was neither encrypted nor proven.
	Insecure bool `json:"insecure,omitempty"`
	// Local: it is the part of one node alone; nil: it is a run of all.
	Local *LocalPart `json:"local,omitempty"`
	// Parts are the local parts that it was made of; none: it was recorded as one.
	Parts []Part `json:"parts,omitempty"`

	noticed []Reason // what Judge cannot see in the rest of the manifest
}

// NewManifest is the manifest of a run that has just begun.
func NewManifest(id, version string, r *recipe.Recipe, started time.Time) *Manifest {
	m := &Manifest{
		Version: ManifestVersion, Run: id, Name: r.Name, Meta: r.Meta, Tsrun: version, Started: started.UTC(), DurationPs: uint64(max(0, r.Acquire.Total())), Insecure: r.Network.Exposed(),
		Nodes: map[string]*Node{}, Segments: []Segment{}, Results: []Result{}, Reasons: []Reason{},
		Trigger: Trigger{
			Method: r.Trigger.Method, Master: r.Trigger.Master,
			LeadNs: int64(r.Trigger.Lead) / 1000, ClockSource: r.Clock.Source,
			Skew: []SkewRecord{},
		},
	}
	for _, n := range r.Nodes {
		m.Nodes[n.Name] = newNode(n, r.Sinks)
	}
	return m
}

func newNode(n recipe.Node, sinks []recipe.Sink) *Node {
	node := &Node{
		Host:        n.Host,
		Controllers: map[string]*Controller{},
		Sinks:       map[string]*Sink{},
		Channels:    map[string]*Channel{},
	}
	for _, c := range n.Controllers {
		node.Controllers[c.Name] = &Controller{Driver: c.Driver}
	}
	for i, c := range n.Channels {
		node.Channels[c.Name] = &Channel{Stream: uint16(i), Controller: c.Controller, Input: c.Input, Losses: []fact.Loss{}}
	}
	for _, s := range sinks {
		if s.At != "source" && s.At != n.Name {
			continue
		}
		kept := &Sink{Sink: s.Sink, Channels: []string{}}
		for _, c := range n.Channels {
			if len(s.Takes) == 0 || slices.Contains(s.Takes, n.Name+"."+c.Name) {
				kept.Channels = append(kept.Channels, c.Name)
			}
		}
		if len(kept.Channels) > 0 {
			node.Sinks[s.Name] = kept
		}
	}
	return node
}

// UnmarshalJSON reads a manifest. What is null in its maps is not there.
func (m *Manifest) UnmarshalJSON(text []byte) error {
	type plain Manifest
	err := json.Unmarshal(text, (*plain)(m))
	dropNulls(m.Nodes)
	for _, n := range m.Nodes {
		dropNulls(n.Controllers)
		dropNulls(n.Sinks)
		dropNulls(n.Channels)
	}
	return err
}

func dropNulls[V any](values map[string]*V) {
	maps.DeleteFunc(values, func(_ string, v *V) bool { return v == nil })
}

// Clone returns a manifest that the first one's owner can go on changing
// without touching: what is only ever replaced or appended to is shared.
func (m *Manifest) Clone() *Manifest {
	c := *m
	c.Segments = slices.Clone(m.Segments)
	c.Nodes = make(map[string]*Node, len(m.Nodes))
	for name, n := range m.Nodes {
		node := *n
		node.Controllers, node.Sinks, node.Channels = cloneEach(n.Controllers), cloneEach(n.Sinks), cloneEach(n.Channels)
		c.Nodes[name] = &node
	}
	return &c
}

func cloneEach[V any](values map[string]*V) map[string]*V {
	c := make(map[string]*V, len(values))
	for k, v := range values {
		copied := *v
		c[k] = &copied
	}
	return c
}

// RecipeRecord says which recipe was run and where it came from.
type RecipeRecord struct {
	File      string       `json:"file"`   // in the run directory, as given
	SHA256    string       `json:"sha256"` // of that file
	Files     []RecipeFile `json:"files"`  // the recipe and its parents
	Resolved  string       `json:"resolved,omitempty"`
	Repeats   string       `json:"repeats,omitempty"` // a recipe with parents and overrides folded in: it repeats the run
	Overrides []string     `json:"overrides"`         // each --set, as given
	Git       Git          `json:"git"`
}

// RecipeFile is one file the recipe was read from.
type RecipeFile struct {
	Path   string `json:"path"` // where it was read
	File   string `json:"file"` // the copy in the run directory
	SHA256 string `json:"sha256"`
}

// Node is one PC's part in the run.
type Node struct {
	Host        string                 `json:"host"`               // "local" or "remote", as in the recipe
	Hostname    string                 `json:"hostname,omitempty"` // what the PC calls itself
	PID         int                    `json:"pid,omitempty"`
	Version     string                 `json:"version,omitempty"` // of the tsrun that served the node
	Joined      time.Time              `json:"joined,omitzero"`   // UTC, by the master's clock, as Armed
	Armed       time.Time              `json:"armed,omitzero"`    // when the master heard that all its controllers were, first
	Controllers map[string]*Controller `json:"controllers"`
	Sinks       map[string]*Sink       `json:"sinks"`
	Channels    map[string]*Channel    `json:"channels"`
	Transfer    *fact.Sent             `json:"transfer,omitempty"` // how its files travelled; absent where none did
	Receiver    *fact.Confinement      `json:"receiver,omitempty"` // of the thread of the master that writes its files
	Clock       *NodeClock             `json:"clock,omitempty"`    // absent where no clock source compared it with the master's
	Start       *Start                 `json:"start,omitempty"`    // absent where no shot was recorded (trigger method hardware)
	Restarts    []Restart              `json:"restarts,omitempty"`
	Takes       []Take                 `json:"takes,omitempty"` // its shots, where the run takes several
	Heard       []fact.Heard           `json:"heard,omitempty"` // how the order to start came, of each shot (trigger method broadcast)
}

// NodeClock is how a node's clock stood against the master's.
type NodeClock struct {
	Start *clock.Reading `json:"start,omitempty"` // by which the node translated the instant
	Last  *clock.Reading `json:"last,omitempty"`  // the newest that the node has told
}

// Controller is one Time Controller and the driver that reached it.
type Controller struct {
	Driver string `json:"driver"`
	fact.Plugin
	Device fact.Device `json:"device"`
	// Realtime is what the thread that fires was granted, of what the recipe asks.
	Realtime []realtime.Grant `json:"realtime,omitempty"`
	// Compensation is how much earlier than its instant it is fired, in the first shot.
	Compensation *fact.Compensation `json:"compensation,omitempty"`
	Shot         *fact.Shot         `json:"shot,omitempty"`
	Report       json.RawMessage    `json:"report,omitempty"` // what the driver had to say
}

// Sink is a plugin that was given tags.
type Sink struct {
	Sink string `json:"sink"`
	fact.Plugin
	Channels []string          `json:"channels"`        // of this node that the sink is given
	Keeps    sdk.Keeps         `json:"keeps,omitempty"` // what becomes of the tags, as the plugin says
	Kept     map[string]uint64 `json:"kept,omitempty"`  // by channel: tags that the sink says it has kept in no file of the run
}

// Channel is what one channel delivered to its node, whatever became of it.
type Channel struct {
	Stream     uint16      `json:"stream"`
	Controller string      `json:"controller"`
	Input      int         `json:"input"`
	Tags       uint64      `json:"tags"`
	Sent       *uint64     `json:"sent,omitempty"`      // tags that the driver says it delivered; absent when it did not come to say so
	SentLost   *uint64     `json:"sent_lost,omitempty"` // tags that it says are missing from them
	FirstPs    uint64      `json:"first_ps"`            // 0 when there are no tags
	LastPs     uint64      `json:"last_ps"`
	LengthPs   uint64      `json:"length_ps"` // of the acquisition, as the end of the stream said
	Rate       *Rate       `json:"rate_hz"`   // tags over length; null where no time was recorded
	Lost       uint64      `json:"lost"`      // tags known to be missing
	Losses     []fact.Loss `json:"losses"`    // at most MaxLosses; Lost counts all
	// ReadFrom is the sink whose files the stages read; absent where none did.
	ReadFrom string `json:"read_from,omitempty"`
}

// MaxLosses is how many gaps of one channel are listed one by one.
const MaxLosses = 1000

// Lists reports whether there is room in the list for a gap.
func (c *Channel) Lists(l fact.Loss) bool {
	return len(c.Losses) < MaxLosses || l.LengthPs > 0 && len(c.Losses) < MaxLosses+MaxRestarts
}

// Lose lists a gap. It leaves Lost alone, which is counted by the core from
// the blocks themselves.
func (c *Channel) Lose(l fact.Loss) {
	if c.Lists(l) {
		c.Losses = append(c.Losses, l)
	}
}

// Count records what the core counted and works out the rate.
func (c *Channel) Count(n fact.Counts) {
	c.Tags, c.FirstPs, c.LastPs, c.LengthPs, c.Lost = n.Tags, n.First, n.Last, n.Until, n.Lost
	recorded := n.Until
	for _, l := range c.Losses {
		recorded -= min(l.LengthPs, recorded)
	}
	c.Rate = RateOf(n.Tags, recorded)
}

// Segment is a file of a node, and whether it is here.
type Segment struct {
	Node    string `json:"node"`
	Channel string `json:"channel"` // "": the file holds no tags
	fact.Segment
	Format   string `json:"format,omitempty"` // where the file's name does not tell
	Verified bool   `json:"verified"`         // the file is here, and its bytes are proven
	// ProvenAt is when the master knew that, by its clock, UTC.
	ProvenAt time.Time `json:"proven_at,omitzero"`
}

// LiveRecord is what a live sink has sent while the run went on.
type LiveRecord struct {
	Sink        string `json:"sink"`
	Address     string `json:"address,omitempty"` // of a plugin: nobody else's
	Subscribers int    `json:"subscribers"`       // at once, at most
	Messages    uint64 `json:"messages"`
	Tags        uint64 `json:"tags"`
	Dropped     uint64 `json:"dropped"`          // messages that subscribers did not take in time, of all together
	Withheld    uint64 `json:"withheld"`         // tags of clocks that were not known
	Late        uint64 `json:"late"`             // tags that came when later ones had been sent
	Missed      int64  `json:"missed,omitempty"` // segments that came faster than they were merged
	Broken      int    `json:"broken,omitempty"` // segments that could not be read

	Taken *TakenRecord `json:"taken,omitempty"` // of a sink that is a plugin
}

// TakenRecord is what a plugin has made of the merged tags.
type TakenRecord struct {
	Plugin  string `json:"plugin"`
	Version string `json:"version,omitempty"` // of the plugin
	SHA256  string `json:"sha256,omitempty"`  // of its program
	fact.Confinement
	Where    string `json:"where,omitempty"`  // the messages are, as it says
	Messages uint64 `json:"messages"`         // that are there
	Tags     uint64 `json:"tags"`             // in them
	Missing  uint64 `json:"missing"`          // messages that are not
	Failed   string `json:"failed,omitempty"` // why
}

// ResultRecord is what a sink has made of what stages found.
type ResultRecord struct {
	Sink    string `json:"sink"`
	Plugin  string `json:"plugin"`
	Version string `json:"version,omitempty"` // of the plugin
	SHA256  string `json:"sha256,omitempty"`  // of its program
	fact.Confinement
	Files    []ResultFile `json:"files"`
	Messages uint64       `json:"messages,omitempty"` // that somebody else has acknowledged
	Without  []string     `json:"without,omitempty"`  // stages of which it has nothing, and why
	Failed   string       `json:"failed,omitempty"`   // why it has nothing at all, or not all
}

// ResultFile is a file that such a sink has written.
type ResultFile struct {
	Stage  string `json:"stage"`
	File   string `json:"file"` // relative to the run directory
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Simulated reports whether any controller is known to be simulated.
func (m *Manifest) Simulated() bool {
	for _, n := range m.Nodes {
		for _, c := range n.Controllers {
			if c != nil && c.Device.Simulated {
				return true
			}
		}
	}
	return false
}

// Trigger says how the nodes started together.
type Trigger struct {
	Method      string       `json:"method"`
	Master      string       `json:"master"`
	InstantNs   int64        `json:"instant_ns,omitempty"` // unix ns of the master's clock
	LeadNs      int64        `json:"lead_ns"`
	ClockSource string       `json:"clock_source"`
	Skew        []SkewRecord `json:"skew"`
	// Shots are those of a run that takes several; what stands above is of the first.
	Shots []TriggerShot `json:"shots,omitempty"`
}

// Result is what one stage found.
type Result struct {
	Stage   string          `json:"stage"` // its name in the recipe
	Kind    string          `json:"kind"`  // align, coincidences, histogram
	Files   []string        `json:"files"` // relative to the run directory
	Skipped string          `json:"skipped,omitempty"`
	Over    *Common         `json:"over,omitempty"`    // the time that it looked at, where that was not all
	Summary json.RawMessage `json:"summary,omitempty"` // the summary of its kind: AlignSummary and so on
}

// NodeOf is the node of a channel, "alice.signal"; nil where there is none.
func (m *Manifest) NodeOf(channel string) *Node {
	node, _, _ := strings.Cut(channel, ".")
	return m.Nodes[node]
}

// NodeOrder names the nodes: the trigger's master first, then the others by name.
func (m *Manifest) NodeOrder() []string {
	names := slices.Sorted(maps.Keys(m.Nodes))
	if i := slices.Index(names, m.Trigger.Master); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, m.Trigger.Master)
	}
	return names
}

// Recorded says whether any channel has recorded for a time or delivered a tag.
func (m *Manifest) Recorded() bool {
	for _, n := range m.Nodes {
		for _, c := range n.Channels {
			if c.Tags > 0 || c.LengthPs > 0 {
				return true
			}
		}
	}
	return false
}

// ByStream names channels in the order of their streams.
func ByStream(channels map[string]*Channel) []string {
	names := slices.Sorted(maps.Keys(channels))
	slices.SortStableFunc(names, func(a, b string) int { return int(channels[a].Stream) - int(channels[b].Stream) })
	return names
}
