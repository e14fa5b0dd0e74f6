(module
  (memory (export "memory") 1)
  (func (export "authn"))
  (func (export "authz"))
  (func (export "validate")))
