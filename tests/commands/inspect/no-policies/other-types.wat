(component
  (core module $m (func (export "run")))
  (core instance $i (instantiate $m))
  (func $run (canon lift (core func $i "run")))
  (instance $l (export "init" (func $run)))
  (instance $v (export "validate" (func $run)))
  (export "verdict:policy/lifecycle@1.0.0" (instance $l))
  (export "verdict:admission/validating@1.0.0" (instance $v)))
