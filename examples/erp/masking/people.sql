-- Nobody on staging needs to know who our customers and colleagues are (R23). The same masked value for the
-- same row, so that a test that fails can be found again.
UPDATE erp.customer SET
  name = 'Masked customer ' || id,
  email = 'customer' || id || '@masked.invalid',
  phone = '+000 ' || id,
  iban = 'XX00' || lpad(id::text, 16, '0');
UPDATE erp.employee SET
  full_name = 'Masked employee ' || id,
  tax_number = 'M' || lpad(id::text, 12, '0'),
  iban = 'XX01' || lpad(id::text, 16, '0');
UPDATE erp.app_user SET
  full_name = 'Masked user ' || id,
  email = 'user' || id || '@masked.invalid',
  password_hash = 'masked';
UPDATE erp.mail_outbox SET recipient = 'mail' || id || '@masked.invalid';
UPDATE erp.payment_order SET iban = 'XX02' || lpad(id::text, 16, '0');
