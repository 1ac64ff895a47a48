package recipe

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tsrun/sdk"
)

// The sinks of the merged tags: those of all nodes, their clocks corrected and in order of
// time, while the run goes on. One is in tsrun itself, and sends them to who subscribes;
// the others are plugins, which are the only ones to subscribe.
const (
	liveSink = "live"
	merged   = "merged"

	// MaxLiveChannels is how many channels a live sink merges.
	MaxLiveChannels = 256
	maxQueue        = 1024
)

// Live is such a sink.
type Live struct {
	Name   string          `json:"name"`
	Sink   string          `json:"sink,omitempty"` // the plugin; "": whoever subscribes
	Config LiveConfig      `json:"config"`
	Plugin json.RawMessage `json:"plugin,omitempty"` // its config
}

// LiveConfig is what it owns. The address of a plugin is made when the run begins.
type LiveConfig struct {
	Address   string   `json:"address"`
	Of        []string `json:"of,omitempty"`        // none: all
	Reference string   `json:"reference,omitempty"` // "": see [Recipe.LiveReference]
	Queue     int      `json:"queue"`
}

var addressForm = &form{
	pattern: regexp.MustCompile(`^(tcp://(127\.[0-9.]{5,11}|\[::1\]):[0-9]{1,5}|ipc:///[^\x00-\x1f]{1,106})$`),
	what:    "an address that other PCs do not reach", like: "write tcp://127.0.0.1:5565, or ipc:///run/user/1000/tsrun with a path that is whole",
}

var liveFields = []*Field{
	{name: "address", shape: shapeText, initial: "tcp://127.0.0.1:5565", form: addressForm,
		doc: "Where subscribers connect: `tcp://127.0.0.1:PORT`, or `ipc:///PATH` of a socket; port 0 is any."},
	{name: "of", shape: shapeList, limits: &limits{1, MaxLiveChannels}, doc: "The channels that it sends; all where it is left out.",
		each: &Field{name: "CHANNEL", shape: shapeText, form: channelForm, doc: "One channel."}},
	{name: "reference", shape: shapeText, form: channelForm,
		doc: "A channel of the controller whose clock all times are on; where it is left out, the reference of the first align stage, or the first channel that is sent."},
	{name: "queue", shape: shapeInteger, initial: "64", limits: &limits{1, maxQueue},
		doc: "Messages of up to 65536 tags that wait for a slow subscriber; what comes beyond that it misses."},
}

// configOfSink is the config of a plugin, or of the sink that is none.
func configOfSink() *Field {
	f := pluginConfig()
	f.selector, f.variants = "sink", map[string][]*Field{liveSink: liveFields}
	return f
}

func encodeTakes(v *value, into map[string]any) {
	if v.kind == scalarNode {
		into[v.name] = []any{v.scalar}
		return
	}
	into[v.name] = v.json()
}

// encodeSinks parts those of the merged tags and those of results from the others.
func encodeSinks(v *value, into map[string]any) {
	kept, live, results := []any{}, []any{}, []any{}
	for i, item := range v.json().([]any) {
		sink := item.(map[string]any)
		if takesResults(v.keys[i]) && sink["sink"] != liveSink {
			results = append(results, map[string]any{"name": sink["name"], "sink": sink["sink"], "stages": sink["takes"], "config": sink["config"]})
			continue
		}
		takes, _ := sink["takes"].([]any)
		config, _ := sink["config"].(map[string]any)
		switch onlyMerged := len(takes) == 1 && takes[0] == merged; {
		case onlyMerged && sink["sink"] == liveSink && config["address"] != nil:
			live = append(live, map[string]any{"name": sink["name"], "config": config})
			continue
		case onlyMerged && sink["sink"] != liveSink:
			live = append(live, map[string]any{"name": sink["name"], "sink": sink["sink"], "config": chosen(config), "plugin": config})
			continue
		}
		kept = append(kept, sink)
	}
	into["sinks"] = kept
	if len(live) > 0 {
		into["live"] = live
	}
	if len(results) > 0 {
		into["result_sinks"] = results
	}
}

// chosen are the keys that tsrun reads of the config of a plugin that takes merged tags.
// What has another form its schema refuses.
func chosen(config map[string]any) map[string]any {
	c := map[string]any{"queue": sdk.MergedDefaults().Queue}
	var of []any
	all, _ := config["of"].([]any)
	for _, name := range all {
		if text, ok := name.(string); ok {
			of = append(of, text)
		}
	}
	if len(of) > 0 && len(of) <= MaxLiveChannels {
		c["of"] = of
	}
	if text, ok := config["reference"].(string); ok {
		c["reference"] = text
	}
	if n, err := strconv.Atoi(fmt.Sprint(config["queue"])); err == nil && n >= 1 && n <= maxQueue {
		c["queue"] = n
	}
	return c
}

// takesMerged says whether a sink, as it is written, takes the merged tags.
func takesMerged(sink *value) bool {
	takes := sink.get("takes")
	if takes == nil {
		return false
	}
	if takes.kind == scalarNode {
		return takes.text == merged
	}
	return len(takes.items) == 1 && takes.items[0].text == merged
}

// takenBy is how a plugin is configured for what a sink takes beside channels; nil: for
// channels, or it does not take that.
func takenBy(offer *sdk.Offer, takes string) *sdk.TakenOffer {
	switch {
	case offer == nil || takes == "":
		return nil
	case takes == merged:
		return offer.Merged
	}
	return offer.Results
}

// merged checks the plugins of sinks that take the merged tags, and their configs.
func (p *pluginChecker) merged(r *Recipe) {
	for _, s := range r.Live {
		section := "sinks." + s.Name
		switch offer := p.plugins.sink(s.Sink); {
		case s.Sink == "":
		case offer != nil && offer.Merged == nil:
			p.c.fail(p.c.place(section+".sink", false), section+".sink", codeConflict, fmt.Sprintf("plugin %s takes tags of channels, and not the merged ones", s.Sink),
				"name one that says it takes them, such as sink-nats, or write sink: live, which sends the tags of all nodes to programs on this PC")
		default:
			p.check(section, use{role: "sink", name: s.Sink, config: s.Plugin, takes: merged})
		}
	}
}

// Sends lists the channels that a live sink sends.
func (r *Recipe) Sends(l Live) []string {
	if len(l.Config.Of) > 0 {
		return l.Config.Of
	}
	var all []string
	for _, n := range r.Nodes {
		for _, c := range n.Channels {
			all = append(all, n.Name+"."+c.Name)
		}
	}
	return all
}

// ClockOf names the controller that stamps a channel, "node.controller"; "" where
// there is no such channel.
func (r *Recipe) ClockOf(channel string) string {
	for _, n := range r.Nodes {
		for _, c := range n.Channels {
			if n.Name+"."+c.Name == channel {
				return n.Name + "." + c.Controller
			}
		}
	}
	return ""
}

// LiveReference is the channel on whose clock a live sink puts all times, of a recipe
// whose stages follow these clocks.
func (r *Recipe) LiveReference(l Live, follows [][2]string) string {
	sends := r.Sends(l)
	switch {
	case l.Config.Reference != "":
		return l.Config.Reference
	case len(follows) > 0:
		for _, name := range sends { // one clock needs no other
			if r.ClockOf(name) != r.ClockOf(sends[0]) {
				return follows[0][0]
			}
		}
	case len(sends) == 0:
		return ""
	}
	return sends[0]
}

// LiveWay are the numbers of the followed clocks by which one leads to another, each against
// the one before: the shortest way; nil: there is none.
func (r *Recipe) LiveWay(from, to string, follows [][2]string) []int {
	ways := map[string][]int{from: {}}
	for reached := []string{from}; len(reached) > 0; reached = reached[1:] {
		for i, f := range follows {
			next := r.ClockOf(f[1])
			if _, known := ways[next]; known || r.ClockOf(f[0]) != reached[0] {
				continue
			}
			ways[next] = append(slices.Clone(ways[reached[0]]), i)
			reached = append(reached, next)
		}
	}
	return ways[to]
}

// live checks the sinks of merged tags.
func (j *judgement) live() {
	var follows [][2]string
	unsure := j.holes("pipeline")
	for _, s := range j.stageConfigs {
		if f, ok := s.StageConfig.(Follower); ok {
			follows = append(follows, f.Follows(j.r)...)
		}
	}
	for i, l := range j.r.Live {
		path := "sinks." + l.Name
		if j.liveChannels(path, l) && !unsure {
			j.liveClocks(path, l, follows)
		}
		if j.c.values[path+".at"].word() != "source" {
			j.fail(path+".at", codeConflict, "merged tags are those of all nodes, and the master sends them", "leave at out")
		}
		if j.c.values[path+".feeds"] != nil {
			j.fail(path+".feeds", codeConflict, "stages read what is kept in files, and this sink keeps nothing", "leave feeds out")
		}
		for _, other := range j.r.Live[:i] {
			if l.Sink == "" && other.Config.Address == l.Config.Address && !strings.HasSuffix(l.Config.Address, ":0") {
				j.fail(path+".config.address", codeConflict, fmt.Sprintf("sink %q has this address", other.Name), "give each its own")
			}
		}
	}
}

// liveMistaken says what keeps a sink from being one of merged tags.
func (j *judgement) liveMistaken(path string, sink *Sink) {
	if !j.holes(path) {
		at := path + ".takes"
		if sink.Takes == nil {
			at = path + ".sink"
		}
		j.fail(at, codeConflict, "sink live sends the tags of all nodes as one, and keeps nothing", "write takes: merged, and the channels in its config: of: [node.channel, …]")
	}
	j.c.broken[path+".sink"] = true // no plugin is meant
}

// liveChannels checks that the channels exist and are kept.
func (j *judgement) liveChannels(path string, l Live) (good bool) {
	good = !j.holes(path)
	for i, name := range l.Config.Of {
		at := index(path+".config.of", i)
		if j.c.broken[at] || !j.channel(at, name) {
			good = false
		} else if slices.Index(l.Config.Of, name) < i {
			j.fail(at, codeDuplicate, fmt.Sprintf("%s is taken twice", name), "remove one")
		}
	}
	if l.Config.Reference != "" && !j.channel(path+".config.reference", l.Config.Reference) {
		good = false
	}
	for _, name := range j.r.Sends(l) {
		if info, ok := j.channels[name]; good && ok && !info.kept {
			j.failKey(path, codeConflict, fmt.Sprintf("no sink keeps %s", name), "what is sent is read from kept tags: let a sink take it")
			return false
		}
	}
	return good
}

// liveClocks checks that each clock is the reference's or is followed against it.
func (j *judgement) liveClocks(path string, l Live, follows [][2]string) {
	if j.r.Trigger.Method == "hardware" && len(follows) == 0 {
		return // one pulse started all
	}
	reference := j.r.LiveReference(l, follows)
	clock := j.r.ClockOf(reference)
	for _, name := range j.r.Sends(l) {
		its := j.r.ClockOf(name)
		if its == clock || j.r.LiveWay(clock, its, follows) != nil {
			continue
		}
		j.failKey(path, codeConflict, fmt.Sprintf("nothing follows the clock of %s against that of %s while the run goes on", name, reference),
			fmt.Sprintf("align it against that one by pairs, {stage: align, config: {reference: %s, target: %s}}, or let the sink send the channels of one controller: of: [%s]", reference, name, reference))
		return
	}
}

// Network and path are where a live sink listens; ok is false of what is no such address.
func (c LiveConfig) Network() (network, address string, ok bool) {
	if path, unix := strings.CutPrefix(c.Address, "ipc://"); unix {
		return "unix", path, filepath.IsAbs(path)
	}
	text, tcp := strings.CutPrefix(c.Address, "tcp://")
	at, err := netip.ParseAddrPort(text)
	return "tcp", text, tcp && err == nil && at.Addr().Unmap().IsLoopback()
}
