package zmtp

import "strings"

// Topics are what a peer of a PUB socket has subscribed to, and how often: it gets the
// messages that begin with one of them.
type Topics map[string]int

// Set takes a subscription, or takes one back.
func (t Topics) Set(topic string, wanted bool) {
	if wanted {
		t[topic]++
	} else if t[topic]--; t[topic] <= 0 {
		delete(t, topic)
	}
}

// Want says whether the peer gets a message with this first frame.
func (t Topics) Want(frame []byte) bool {
	for topic := range t {
		if strings.HasPrefix(string(frame), topic) {
			return true
		}
	}
	return false
}
