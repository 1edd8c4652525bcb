package main

// searchParameters keeps what search needs; of two with one base and code the one whose id
// begins with that base wins (the packages repeat _filter).
func searchParameters(src *source) []searchParam {
	best := map[[2]string]string{}
	for _, p := range src.params {
		for _, base := range p.Base {
			key := [2]string{base, p.Code}
			if best[key] == "" || p.ID == base+"-"+p.Code {
				best[key] = p.ID
			}
		}
	}
	out := []searchParam{}
	for _, p := range src.params {
		var base []string
		for _, b := range p.Base {
			if best[[2]string{b, p.Code}] == p.ID {
				base = append(base, b)
			}
		}
		if len(base) == 0 {
			continue
		}
		param := p.searchParam
		param.Base = base
		out = append(out, param)
	}
	return out
}

func compartments(src *source) []compartment {
	out := []compartment{}
	for _, c := range src.compartments {
		params := map[string][]string{}
		for _, r := range c.Resource {
			if len(r.Param) > 0 {
				params[r.Code] = r.Param
			}
		}
		out = append(out, compartment{Code: c.Code, URL: c.URL, Params: params})
	}
	return out
}

func operations(src *source) []operation {
	out := []operation{}
	for _, o := range src.operations {
		out = append(out, operation{
			Code: o.Code, URL: o.URL, Resource: o.Resource,
			System: o.System, Type: o.Type, Instance: o.Instance, Affects: o.Affects,
		})
	}
	return out
}
