package master

import (
	"slices"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// cut enters what is lost of a node whose process ended within the recording: tags
// that were counted and are in no whole file.
func (b *book) cut(name string) {
	node := b.manifest.Nodes[name]
	held := map[string]map[string]uint64{} // channel: sink: tags
	last := map[string]uint64{}            // channel: ps
	for _, s := range b.manifest.Segments {
		if s.Node == name && s.HoldsTags() {
			if held[s.Channel] == nil {
				held[s.Channel] = map[string]uint64{}
			}
			held[s.Channel][s.Sink] += s.Tags
			last[s.Channel] = max(last[s.Channel], s.LastPs)
		}
	}
	for channel, c := range node.Channels {
		most := uint64(0)
		for _, tags := range held[channel] {
			most = max(most, tags)
		}
		n := b.counts[name][c.Stream]
		if c.Sent != nil && c.SentLost != nil { // the driver may have come farther than was told
			n.Tags, n.Lost = max(n.Tags, *c.Sent), max(n.Lost, *c.SentLost)
		}
		if n.Tags > most && b.inFiles(node, channel) {
			c.Lose(fact.Loss{AtPs: last[channel], Tags: n.Tags - most, Why: "they were in a file that was not closed when its process ended"})
			n.Tags, n.Lost = most, n.Lost+n.Tags-most
			b.counts[name][c.Stream] = n
			c.Sent, c.SentLost = nil, nil // of what came before the end
		}
	}
}

// inFiles reports whether a sink keeps the tags of a channel in files.
func (b *book) inFiles(node *run.Node, channel string) bool {
	for _, s := range node.Sinks {
		if slices.Contains(s.Channels, channel) && s.Keeps != sdk.Elsewhere && s.Keeps != sdk.NoTags {
			return true
		}
	}
	return false
}
