package slave

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/wire"
)

// FuzzReply has a slave hear what no master says: it takes what it can use and refuses
// the rest, and nobody who does not know the token of a run is given anything of it.
func FuzzReply(f *testing.F) {
	id := strings.Repeat("1", 32)
	for _, s := range []string{
		`{"refused":{"code":"x","message":"\u001b[2J"}}`, `{"wait":"` + strings.Repeat("w", 5000) + `"}`, `{"welcome":{}}`, `[]`, `null`,
		`{"welcome":{"run":"` + id + `","token":"` + id + `","recipe":{"nodes":[{"name":"bob"}]},"trigger_port":-1,"files_port":99999999}}`,
		`{"welcome":{"run":"` + id + `00","token":"` + id + `","recipe":{"nodes":[]}}}`,
		`{"welcome":{"run":"../../../x","deliver":true,"proof":"00"}}`, `{"welcome":{"run":"` + id + `","deliver":true,"proof":"00","seen":18446744073709551615}}`,
		`{"welcome":{"clock":{"port":70000,"session":1,"key":"AAAA"},"revoked":"AAAA"}}`, `{"order":{"Kind":255,"Seq":18446744073709551615},"seen":1}`,
	} {
		f.Add([]byte(s))
	}
	o := Options{Node: "bob", Master: "127.0.0.1:1", Data: f.TempDir(), Log: slog.New(slog.DiscardHandler)}
	f.Fuzz(func(t *testing.T, answer []byte) {
		var reply wire.Reply
		if json.Unmarshal(answer, &reply) != nil {
			return
		}
		if reply.Order != nil {
			newInbox().put(*reply.Order, fact.ByAnswer, time.Now())
		}
		w := reply.Welcome
		if w == nil {
			return
		}
		j := joiner{options: o, host: "127.0.0.1", instance: "1"}
		if w.Deliver {
			if j.serve(t.Context(), w) == nil {
				t.Error("a master that shows nothing was given what this slave does not have")
			}
			return
		}
		if w.Clock != nil {
			if p, err := clock.Dial("127.0.0.1", *w.Clock); err == nil {
				over, end := context.WithCancel(t.Context())
				end()
				_ = p.Run(over) // closes its socket
			}
		}
		var r recipe.Recipe
		if json.Unmarshal(w.Recipe, &r) != nil || r.CheckPart("bob") != nil {
			return
		}
		s, err := newSession(o, w, &r, j.addresses(w))
		if err != nil {
			return
		}
		if !strings.HasPrefix(s.dir, o.Data) || strings.Contains(s.dir[len(o.Data):], "..") {
			t.Errorf("files would be kept in %s", s.dir)
		}
		s.reporter.status.Close()
	})
}
