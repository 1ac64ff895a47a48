package clock

import (
	"context"
	"sync"
	"time"

	"tsrun/sdk/instrument"
)

// absentPause is the time between two looks for a service that is not there.
const absentPause = 2 * time.Second

// Options say where the services of a PC are found.
type Options struct {
	Source string // of the recipe: "ptp", "chrony", "probe", "auto" or "none"
	Socket string // of ptp4l; "": where releases of linuxptp have it
	Domain int    // of PTP

	Reached string // the address of the master that answers; "": whichever its name has
}

// Services ask what keeps this PC's clock: ptp4l and chronyd, those that the source of
// the recipe may use.
type Services struct{ all []*service }

// service is one of them, and what it has said.
type service struct {
	follower
	ask func() (r Followed, new bool, err error)

	errs sync.Mutex
	err  error // of the last question

	record *Recorder // nil: nobody keeps what it says
}

// NewServices asks nothing yet; [Services.Run] does.
func NewServices(o Options) *Services {
	s := &Services{}
	if o.Source == PTP || o.Source == "auto" {
		s.all = append(s.all, &service{follower: follower{source: PTP}, ask: newPTP(o.Socket, o.Domain).ask})
	}
	if o.Source == Chrony || o.Source == "auto" {
		s.all = append(s.all, &service{follower: follower{source: Chrony}, ask: chronyService{}.ask})
	}
	return s
}

// ServicesHint is what to do where a service that the recipe wants says nothing, or nothing good.
const ServicesHint = "run it on both PCs, with one reference, until it is synchronised; or write clock.source: auto"

// Asked returns the sources that are asked.
func (s *Services) Asked() (sources []string) {
	for _, one := range s.all {
		sources = append(sources, one.source)
	}
	return sources
}

// Run asks until ctx ends.
func (s *Services) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	for _, one := range s.all {
		asking.Go(func() { one.run(ctx) })
	}
	asking.Wait()
	return nil
}

func (s *service) run(ctx context.Context) {
	for pause := followEvery; instrument.Pause(ctx, pause); {
		pause = s.look(time.Now)
	}
}

// look asks once and says how long to wait.
func (s *service) look(now func() time.Time) time.Duration {
	r, new, err := s.ask()
	s.errs.Lock()
	s.err = err
	s.errs.Unlock()
	if err != nil {
		if s.known() { // it was there
			gone := Followed{At: now().UnixNano(), Lost: "it does not answer any more: " + err.Error()}
			s.note(gone, now())
			s.record.followed(s.source, gone)
		}
		return absentPause
	}
	if new {
		s.note(r, now())
		s.record.followed(s.source, r)
	}
	return followEvery
}

// known reports whether the service has ever said anything.
func (f *follower) known() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last != (Followed{})
}

// Standings returns how this PC's clock stands by each service that has said enough.
func (s *Services) Standings() []Standing { return s.standings(time.Now()) }

func (s *Services) standings(now time.Time) (all []Standing) {
	for _, one := range s.all {
		if standing, ok := one.standing(now); ok {
			all = append(all, standing)
		}
	}
	return all
}

// Why returns why a service has said nothing; "": it has, or it was not asked yet.
func (s *Services) Why(source string) string {
	for _, one := range s.all {
		if one.source != source {
			continue
		}
		one.errs.Lock()
		defer one.errs.Unlock()
		if one.err != nil {
			return one.err.Error()
		}
	}
	return ""
}
