CREATE TABLE IF NOT EXISTS events (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    kind VARCHAR(20) NOT NULL,
    page VARCHAR(200) NOT NULL,
    at DATETIME(3) NOT NULL
);
CREATE TABLE IF NOT EXISTS products (
    sku VARCHAR(20) PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    price DECIMAL(10, 2) NOT NULL
);
CREATE TABLE IF NOT EXISTS page_views (
    page VARCHAR(200),
    day DATE,
    views INT NOT NULL,
    PRIMARY KEY (page, day)
);
CREATE TABLE IF NOT EXISTS devices (
    id INT PRIMARY KEY,
    at DATETIME(3) NOT NULL,
    battery INT NOT NULL
);
CREATE TABLE IF NOT EXISTS balances (
    user_id INT,
    asset VARCHAR(10),
    amount DECIMAL(20, 8) NOT NULL,
    PRIMARY KEY (user_id, asset)
);
CREATE TABLE IF NOT EXISTS jobs (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    text VARCHAR(200) NOT NULL
);
CREATE TABLE IF NOT EXISTS results (
    job_id BIGINT PRIMARY KEY,
    words INT NOT NULL CHECK (words > 0)
);
CREATE TABLE IF NOT EXISTS orders (
    id INT PRIMARY KEY,
    customer VARCHAR(50) NOT NULL,
    total DECIMAL(10, 2) NOT NULL
);
CREATE TABLE IF NOT EXISTS order_items (
    order_id INT,
    sku VARCHAR(20),
    quantity INT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, sku),
    FOREIGN KEY (order_id) REFERENCES orders (id)
);
CREATE TABLE IF NOT EXISTS stock (
    sku VARCHAR(20) PRIMARY KEY,
    quantity INT NOT NULL
);
CREATE TABLE IF NOT EXISTS cart_items (
    user_id INT,
    sku VARCHAR(20),
    quantity INT NOT NULL,
    PRIMARY KEY (user_id, sku)
);
CREATE TABLE IF NOT EXISTS sensors (
    id INT PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS readings (
    sensor_id INT,
    at DATETIME(3),
    value DECIMAL(8, 3) NOT NULL,
    PRIMARY KEY (sensor_id, at),
    FOREIGN KEY (sensor_id) REFERENCES sensors (id)
);
CREATE TABLE IF NOT EXISTS customers (
    id INT AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(50) NOT NULL,
    city VARCHAR(50) NOT NULL
);
CREATE TABLE IF NOT EXISTS audit (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    customer_id INT NOT NULL,
    field VARCHAR(50) NOT NULL,
    old VARCHAR(50),
    new VARCHAR(50)
);
CREATE TABLE IF NOT EXISTS visits (
    id CHAR(32) PRIMARY KEY,
    at DATETIME NOT NULL,
    page VARCHAR(200) NOT NULL
);
