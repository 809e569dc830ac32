UPDATE erp.customer SET name = 'Customer ' || id, email = 'nobody' || id || '@invalid.example';
